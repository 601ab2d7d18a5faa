"""What goes out to annotators and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from netral.errors import NetralError


@dataclass(frozen=True, slots=True)
class Origin:
    """What every format carries beside a sentence, so that an answer finds its place in the article again.

    Attributes:
        sentence_id: The id in the output of `netral label`.
        article_id: The article.
        start: Offset of the first character in the article text as read.
        end: Offset behind the last character.
        strategy: Why the sentence was chosen; None if no export of netral chose it.
        inclusion_probability: Of a sentence of the random share, the chance that it was drawn; else None.
        model: Fingerprint of the model that made the suggestion, or None.
        suggested: Its labels, or None without a model.
    """

    sentence_id: str
    article_id: str
    start: int
    end: int
    strategy: str | None = None
    inclusion_probability: float | None = None
    model: str | None = None
    suggested: tuple[str, ...] | None = None


ORIGIN_FIELDS = tuple(field.name for field in fields(Origin))


@dataclass(frozen=True, slots=True)
class Task:
    """A sentence to be labelled.

    Attributes:
        origin: Where it comes from.
        sentence: The sentence as it stands in the article.
        before: The sentences before it, in order.
        after: The sentences after it, in order.
        scores: The model's probability for each label; its keys are the labels to choose from.
        answers: What annotators said before, for one who decides between them.
    """

    origin: Origin
    sentence: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    scores: dict[str, float]
    answers: dict[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one annotator said of one sentence.

    Attributes:
        origin: Where the sentence comes from.
        sentence: The sentence.
        annotator: Who answered, as the tool names them.
        labels: The labels given; empty for "none of them", None if the annotator skipped the sentence.
    """

    origin: Origin
    sentence: str
    annotator: str
    labels: tuple[str, ...] | None


def origin_row(origin: Origin) -> dict[str, Any]:
    """Return an origin as flat JSON values."""
    row: dict[str, Any] = {name: getattr(origin, name) for name in ORIGIN_FIELDS}
    row["suggested"] = None if origin.suggested is None else list(origin.suggested)
    return row


def read_origin(row: Mapping[str, Any], where: str) -> Origin:
    """Take an origin from the flat values that a tool carried through.

    Raises:
        NetralError: One of the four fields that place a sentence is missing, or a value has the wrong type.
    """
    missing = [name for name in ("sentence_id", "article_id", "start", "end") if row.get(name) in (None, "")]
    if missing:
        raise NetralError(f"{where}: {missing[0]} is missing", "import a file whose tasks were made by `netral annotate export`")
    start, end = row["start"], row["end"]
    if not (_is_whole(start) and _is_whole(end) and 0 <= start < end):
        raise NetralError(f"{where}: start and end are no span ({start!r}, {end!r})", "the tool changed the task; export it again")
    return Origin(
        str(row["sentence_id"]),
        str(row["article_id"]),
        start,
        end,
        row.get("strategy") or None,
        row.get("inclusion_probability"),
        row.get("model") or None,
        None if row.get("suggested") is None else tuple(row["suggested"]),
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def answer_row(answer: Answer) -> dict[str, Any]:
    """Return an answer as a row of the `netral` format (docs/annotation.md)."""
    origin = origin_row(answer.origin)
    return {
        **{name: origin.pop(name) for name in ("sentence_id", "article_id", "start", "end")},
        "sentence": answer.sentence,
        "annotator": answer.annotator,
        "labels": None if answer.labels is None else list(answer.labels),
        **origin,
    }
