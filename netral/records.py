"""What flows between the stages: articles and sentences in, predictions and rejects out."""

from dataclasses import dataclass, field
from typing import Any

# The fields of a citation as a JSON object, in order: those of netral.citations.Citation.
CITATION_FIELDS = (
    *("start", "end", "surface", "canonical", "type", "number", "year", "issuer"),
    *("pasal", "ayat", "huruf", "angka", "about", "known", "successor_of", "back_reference"),
)
# Where a pair of sentences has its second one: in the record, and in ``Sentence.meta``, so that it is passed through.
SECOND = "sentence_2"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a row comes from, as proof: `netral verify` reads the source again and compares.

    Attributes:
        file: The input file as shown in messages, or ``-``.
        row: The row in that file: line, CSV record, Parquet row, WARC record; 1 for a file that is one article.
        sha256: Of the bytes the row was read from: the file (decompressed), the line, the WARC record's payload as stored.
        offset: Where a WARC record begins in its file, in bytes as stored (that is: of its gzip member).
        url: The address that was fetched, or the page's or record's own.
        crawled_at: When, as the crawl wrote it.
    """

    file: str
    row: int
    sha256: str
    offset: int | None = None
    url: str | None = None
    crawled_at: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the object of the output column `provenance`."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Article:
    """One article as read.

    Attributes:
        file: The input file (or ``-``), for messages and rejects.
        row: The 1-based row in that file; 1 for a plain text file.
        id: The record's own id, or one made from the file name.
        text: The text exactly as read. Sentence offsets count characters of it.
        title: The headline, when the record has it; used to recognise repeats of it in the text.
        meta: All other fields of the record, unchanged.
        provenance: Where exactly it was read.
    """

    file: str
    row: int
    id: str
    text: str
    title: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, cut from an article or read as such.

    Attributes:
        file: The input file it comes from.
        row: The row in that file.
        article_id: The article it belongs to.
        sentence_id: Unique within a run.
        start: Offset of its first character in the article text as read.
        end: Offset behind its last character: ``article.text[start:end] == text``.
        text: The sentence as it stands in the source, entities and odd spaces included.
        meta: Fields of the record that are passed through.
        gold: Labels given by an annotator, or None when the record has none.
        provenance: Where its article was read, or the row itself if it was a sentence already.
        citations: The regulations that it cites, as JSON objects (docs/citations.md), with offsets into the article.
    """

    file: str
    row: int
    article_id: str
    sentence_id: str
    start: int
    end: int
    text: str
    meta: dict[str, Any] = field(default_factory=dict)
    gold: tuple[str, ...] | None = None
    provenance: Provenance | None = None
    citations: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """A stretch of an article that cleaning took out.

    Attributes:
        start: Offset of its first character in the article text as read.
        end: Offset behind its last character.
        rule: The name of the cleaning rule.
        text: The text taken out.
    """

    start: int
    end: int
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's answer for one sentence.

    Attributes:
        labels: The labels whose score reaches the threshold, in the model's label order.
        scores: Calibrated probability per label, rounded to three decimals.
        truncated: True if the sentence had more tokens than the model reads and was scored in windows.
    """

    labels: tuple[str, ...]
    scores: dict[str, float]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A sentence that the backend could not score, not even alone.

    Attributes:
        reason: A short stable name, counted in the summary.
        detail: What went wrong, for a person.
    """

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reject:
    """An input row that could not be used.

    Attributes:
        file: The input file.
        row: The 1-based row, or 0 when the whole file is meant.
        reason: A short stable name, counted in the summary.
        detail: What exactly is wrong, for a person.
        id: The record's id if it could be read.
    """

    file: str
    row: int
    reason: str
    detail: str
    id: str = ""
