"""From rows of `netral label` back to articles as a reader sees them, cut into pieces that a page or a terminal can show."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inference.outputs.read import NEXT, output_rows
from inference.outputs.verify import Sources, recorded_settings, slice_problem
from netral.citations.dates import article_date
from netral.config import ReadSettings, TextSettings
from netral.errors import NetralError
from netral.io.columns import ALIASES
from netral.io.readers import given_provenance
from netral.pages.text import readable, whole_unicode
from netral.records import Article, Drop
from netral.text import TextStage, model_text

_WORD = re.compile(r"\w+")
_CLOSED = tuple('.!?…"”’')
# What the tooltip of a citation shows; the id and the surface stand beside it.
_CITED = ("type", "number", "year", "pasal", "ayat", "huruf", "angka", "issuer", "about", "known")
# What `netral split` writes too; the columns of the model are shown where there are any.
_NEEDED = ("article_id", "sentence_id", "start", "end", "sentence", "provenance")


class CitationRow(BaseModel):
    """A citation as far as pages show it."""

    model_config = ConfigDict(strict=True, extra="ignore")
    start: int
    end: int
    canonical: str
    type: str | None = None
    number: str | None = None
    year: int | None = None
    issuer: str | None = None
    pasal: str | None = None
    ayat: str | None = None
    huruf: str | None = None
    angka: str | None = None
    about: str | None = None
    known: bool | None = None

    def shown(self) -> dict[str, Any]:
        """Return the id and the parts that are not empty."""
        parts = {name: value for name in _CITED if (value := getattr(self, name)) not in (None, "")}
        return {"id": self.canonical} | parts


class LabelledRow(BaseModel):
    """A row of `netral label`, or of `netral split`, which has no labels yet."""

    model_config = ConfigDict(strict=True, extra="ignore")
    article_id: str
    sentence_id: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    sentence: str
    labels: list[str] = []
    scores: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    model: str = ""
    meta: dict[str, Any] = {}
    provenance: dict[str, Any] | None = None
    citations: list[CitationRow] = []


@dataclass(slots=True)
class LabelledArticle:
    """One article of an output.

    Attributes:
        rows: Its labelled sentences in order.
        text: Its text as read, or None where the source is not at hand or not what it was.
        drops: What cleaning took out of the text.
        gone: Why there is no text: a reason of `netral verify`, ``no_provenance``, or ``sentence_row`` where none was read.
    """

    rows: list[LabelledRow]
    text: str | None = None
    drops: list[Drop] = field(default_factory=list)
    gone: str = ""

    @property
    def id(self) -> str:
        """The article's id."""
        return self.rows[0].article_id

    @property
    def title(self) -> str:
        """The headline as the record has it, or nothing."""
        return model_text(first_text(self.rows[0].meta, "title"))

    @property
    def date(self) -> str:
        """The day of publication as ISO, or nothing."""
        day = article_date(self.rows[0].meta)
        return day.isoformat() if day else ""

    @property
    def url(self) -> str:
        """The article's address, if a browser may follow it."""
        provenance = self.rows[0].provenance or {}
        return web_address(str(provenance.get("url") or "")) or web_address(first_text(self.rows[0].meta, "url"))

    @property
    def outlet(self) -> str:
        """The outlet that the record names, else the host of its address, else nothing."""
        return model_text(first_text(self.rows[0].meta, "outlet")) or host(self.url)

    @property
    def source(self) -> str:
        """File and row that the article was read from."""
        provenance = self.rows[0].provenance or {}
        return f"{provenance['file']}:{provenance['row']}" if {"file", "row"} <= provenance.keys() else ""


def web_address(url: str) -> str:
    """Return an address that is safe to link to, or nothing: http and https only.

    >>> web_address("https://example.org/a"), web_address("javascript:alert(1)"), web_address("https://a b")
    ('https://example.org/a', '', '')
    """
    return url if re.fullmatch(r"https?://[^\s\x00-\x20\x7f\"<>\\^`{|}]+", url, re.IGNORECASE) else ""


def host(url: str) -> str:
    """Return the host of an address without `www.`.

    >>> host("https://www.example.org:8080/a"), host("http://[broken")
    ('example.org', '')
    """
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def first_text(meta: dict[str, Any], name: str) -> str:
    """Return the first filled field of a record that is known by this name, whatever its case."""
    fields = {key.lower().replace(" ", "_").replace("-", "_"): value for key, value in meta.items()}
    return next((value for alias in ALIASES[name] if isinstance(value := fields.get(alias), str) and value.strip()), "")


def read_articles(
    out: str, read: ReadSettings | None = None, text: TextSettings | None = None, source: Path | None = None, *, sources: bool = True
) -> Iterator[LabelledArticle]:
    """Yield the articles of an output in order, with their full text where the source is at hand and still the same.

    Args:
        out: An output of `netral label` or `netral split`.
        read: How the sources are read; None takes what the summary beside the output says, else the defaults.
        text: Cleaning settings of the run, to name what was dropped; None takes the defaults.
        source: A folder to look for the sources in, where they no longer lie under the names in the output.
        sources: False leaves the sources alone: sentences only.

    Raises:
        NetralError: The output is missing or no output of netral; the message names the row.
    """
    found = Sources(read or recorded_settings(out), source) if sources else None
    stage = TextStage(text or TextSettings())
    for _, rows in groupby(labelled_rows(out), key=lambda row: row.article_id):
        article = LabelledArticle(list(rows))
        if found is not None:
            _add_source(article, found, stage)
        yield article


def labelled_rows(out: str) -> Iterator[LabelledRow]:
    """Yield the rows of an output, checked; half surrogates, which no page could hold, become U+FFFD."""
    for where, row in output_rows(out, _NEEDED, tuple(LabelledRow.model_fields)):
        try:
            yield _checked(row)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise NetralError(f"{where}: {field}: {first['msg']}", NEXT) from None


def _checked(row: dict[str, Any]) -> LabelledRow:
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        row = _whole(row)
    return LabelledRow.model_validate(row)


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return whole_unicode(value)
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _add_source(article: LabelledArticle, sources: Sources, stage: TextStage) -> None:
    wanted = given_provenance({"provenance": article.rows[0].provenance})
    if wanted is None:
        article.gone = "no_provenance"
        return
    found = sources.find(wanted)
    if isinstance(found, str):
        article.gone = found
    elif not isinstance(found, Article):
        article.gone = "sentence_row"
    elif any(slice_problem(found, {"start": row.start, "end": row.end, "sentence": row.sentence}) for row in article.rows):
        article.gone = "slice_differs"
    else:
        article.text = found.text
        article.drops = stage.run(found).drops


def pieces(article: LabelledArticle, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Cut an article into what a page shows one after the other: sentences, dropped blocks, and text that is neither.

    Each piece has ``kind`` (``sentence``, ``dropped``, ``plain``) and ``text``, with odd spaces and entities made readable; ``p`` is
    true where it opens a paragraph. A sentence has what the row has: ``id``, ``start``, ``end``, ``labels`` as numbers, ``scores`` in that
    order, ``raw`` where the row's sentence is written differently, and ``cites``: its text in parts, with the citations of each part.
    """
    blocks = [(row.start, row.end, "sentence", row) for row in article.rows]
    sentences = [(row.start, row.end) for row in article.rows]
    # Under other cleaning settings than those of the run a block could be both; what was labelled was not dropped.
    blocks += [(d.start, d.end, "dropped", d) for d in article.drops if not any(a < d.end and d.start < b for a, b in sentences)]  # type: ignore[misc]
    found: list[dict[str, Any]] = []
    end = 0
    for start, stop, kind, block in sorted(blocks, key=lambda block: block[:2]):
        gap = article.text[end:start] if article.text is not None else "\n" if start - end > 1 else " "
        paragraph = "\n" in gap or not found
        if gap.strip():
            found.append({"kind": "plain", "text": model_text(gap), **({"p": True} if paragraph else {})})
            paragraph = gap.rstrip(" ").endswith("\n")
        made = _sentence(block, labels) if isinstance(block, LabelledRow) else {"rule": block.rule, "text": model_text(block.text)}
        found.append({"kind": kind, **made, **({"p": True} if paragraph else {})})
        end = max(end, stop)
    if article.text is not None and (rest := article.text[end:]).strip():
        found.append({"kind": "plain", "text": model_text(rest), **({"p": True} if "\n" in rest[:2] else {})})
    _mark_headline(found, article.title)
    return found


def _mark_headline(found: list[dict[str, Any]], title: str) -> None:
    """Mark the first sentence as the headline if it is the record's title or, without one, a line that no full stop ends."""
    first = next((piece for piece in found if piece["kind"] != "dropped"), None)
    if first is None or first["kind"] != "sentence":
        return
    same = _WORD.findall(first["text"].lower()) == _WORD.findall(title.lower())
    if same if title else like_a_headline(first["text"]):
        first["headline"] = True


def like_a_headline(text: str) -> bool:
    """Tell whether the first sentence of an article may be its headline: a line that no full stop ends.

    >>> like_a_headline("Bupati Ingatkan ASN"), like_a_headline("Bupati mengingatkan ASN.")
    (True, False)
    """
    return not text.endswith(_CLOSED) and len(text) <= 200


def _sentence(row: LabelledRow, labels: tuple[str, ...]) -> dict[str, Any]:
    parts = _parts(row)
    text = "".join(part if isinstance(part, str) else part["text"] for part in parts)
    made: dict[str, Any] = {"id": row.sentence_id, "start": row.start, "end": row.end, "text": text}
    if text != row.sentence:
        made["raw"] = row.sentence
    if len(parts) > 1 or not isinstance(parts[0], str):
        made["cites"] = parts
    made["labels"] = [number for number, name in enumerate(labels) if name in row.labels]
    made["scores"] = [round(row.scores.get(name, 0.0), 3) for name in labels]
    return made


def _parts(row: LabelledRow) -> list[Any]:
    """Cut a sentence at its citations; one that overlaps the one before (`Pasal 70 dan 71`: the same span twice) joins it."""
    parts: list[Any] = []
    last = 0
    for cited in sorted(row.citations, key=lambda each: each.start):
        start, stop = cited.start - row.start, min(cited.end - row.start, len(row.sentence))
        if not 0 <= start < stop:
            continue
        if start < last:
            parts[-1]["to"].append(cited.shown())
            continue
        if start > last:
            parts.append(readable(row.sentence[last:start]))
        parts.append({"text": readable(row.sentence[start:stop]), "to": [cited.shown()]})
        last = stop
    if last < len(row.sentence) or not parts:
        parts.append(readable(row.sentence[last:]))
    return parts


def label_names(articles: list[LabelledArticle], default: tuple[str, ...]) -> tuple[str, ...]:
    """Return the labels of an output in the model's order; the default where no row was scored."""
    names = dict.fromkeys(name for article in articles for row in article.rows for name in (*row.scores, *row.labels))
    return tuple(names) or default


def gone_counts(articles: list[LabelledArticle]) -> dict[str, int]:
    """Count the articles without their text, by reason."""
    return dict(sorted(Counter(article.gone for article in articles if article.gone).items()))
