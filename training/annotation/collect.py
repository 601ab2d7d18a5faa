"""From the files of annotation tools to one file of answers, and from answers to gold labels."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import refuse_existing, replacing_file
from training.annotation.formats import detect, format_named, netral_rows
from training.annotation.formats.common import write_lines
from training.annotation.task import Answer, answer_row

Place = tuple[str, int, int]


def collect(
    files: Sequence[Path],
    out: Path,
    config: Config,
    *,
    kind: str | None = None,
    annotator: str | None = None,
    gold: Path | None = None,
    adjudicator: str | None = None,
    at_least: int = 1,
    overwrite: bool = False,
) -> tuple[list[Answer], dict[str, Any]]:
    """Read the files of annotators and write all their answers: a row for each sentence and annotator, ordered by place.

    If a person answered a sentence more than once, the last answer counts: files in the order given, within a file the
    tool's own order.

    Args:
        files: Exports of annotation tools; a row of the `netral` format may be an answer of an earlier import.
        out: The file of answers.
        config: Its labels are those known.
        kind: The format; None finds it out for each file.
        annotator: Who answered, where the file does not say.
        gold: Also write there what :func:`to_gold` decides, and beside it what stays undecided.
        adjudicator: For the gold labels: whose answer decides.
        at_least: For the gold labels: how many answers a sentence needs.
        overwrite: Replace an output that exists.

    Returns:
        The answers, and their counts.

    Raises:
        NetralError: A file is of no known format, an answer is damaged or holds an unknown label, or the output exists.
    """
    if gold is not None:
        refuse_existing(gold, overwrite)
    refuse_existing(out, overwrite)
    kept: dict[tuple[Place, str], Answer] = {}
    repeated, formats = 0, []
    for path in files:
        if not path.is_file():
            raise NetralError(f"{path}: no such file", "pass the files that the annotation tool exported")
        formats.append(kind or detect(path))
        for answer in format_named(formats[-1]).read(path, annotator):
            checked = _in_order(answer, path, config.label_names)
            key = (place(checked), checked.annotator)
            repeated += key in kept
            kept[key] = checked
    if not kept:
        raise NetralError(f"{', '.join(map(str, files))}: no answer", "export the tasks after they were labelled")
    answers = [kept[key] for key in sorted(kept)]
    _one_text_a_place(answers)
    # Decided before anything is written: a wrong name of an adjudicator must not leave half of the output.
    decided = to_gold(answers, config.label_names, adjudicator=adjudicator, at_least=at_least) if gold is not None else None
    _write(out, map(answer_row, answers))
    counts: dict[str, Any] = {
        "answers": len(answers),
        "sentences": len({place(a) for a in answers}),
        "annotators": len({a.annotator for a in answers}),
        "skipped": sum(a.labels is None for a in answers),
        "repeated": repeated,
        "formats": sorted(set(formats)),
    }
    if gold is not None and decided is not None:
        _write(gold, decided.rows)
        _write(undecided_file(gold), decided.undecided)
        counts |= {"decided": len(decided.rows), "undecided": len(decided.undecided)}
    return answers, counts


def undecided_file(gold: Path) -> Path:
    """Name the file of undecided sentences beside a label file.

    >>> undecided_file(Path("labels.jsonl")).name
    'labels.undecided.jsonl'
    """
    return gold.with_suffix(".undecided.jsonl")


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with replacing_file(path) as beside:
        write_lines(beside, rows)


def read_answers(path: Path) -> list[Answer]:
    """Read a file of answers that :func:`collect` wrote.

    Raises:
        NetralError: The file is missing or holds something else.
    """
    if not path.is_file():
        raise NetralError(f"{path}: no such file", "make it with `netral annotate import`")
    answers = list(netral_rows.read(path, None))
    if not answers:
        raise NetralError(f"{path}: no answer", "make it with `netral annotate import`")
    return answers


def place(answer: Answer) -> Place:
    """Return what names a sentence: its article and its place there."""
    return answer.origin.article_id, answer.origin.start, answer.origin.end


def by_sentence(answers: Iterable[Answer]) -> dict[Place, list[Answer]]:
    """Gather the answers of each sentence."""
    found: dict[Place, list[Answer]] = defaultdict(list)
    for answer in answers:
        found[place(answer)].append(answer)
    return dict(found)


def _in_order(answer: Answer, path: Path, labels: Sequence[str]) -> Answer:
    """Put the labels of an answer in the configuration's order, each once."""
    strange = [label for label in answer.labels or () if label not in labels]
    if strange:
        raise NetralError(
            f"{path}: sentence {answer.origin.sentence_id}: unknown label {strange[0]!r}",
            f"known labels: {', '.join(labels)} (set with `labels:`)",
        )
    return answer if answer.labels is None else replace(answer, labels=tuple(label for label in labels if label in answer.labels))


def _one_text_a_place(answers: Sequence[Answer]) -> None:
    for same in by_sentence(answers).values():
        other = next((a for a in same if a.sentence != same[0].sentence), None)
        if other:
            raise NetralError(
                f"sentence {other.origin.sentence_id}: {same[0].annotator} and {other.annotator} saw different texts at the same place",
                "import answers on one version of the articles only",
            )


@dataclass(frozen=True, slots=True)
class Gold:
    """What answers come to: label rows as `netral prepare` reads them, and the sentences that stay undecided, each with why."""

    rows: list[dict[str, Any]]
    undecided: list[dict[str, Any]]


def to_gold(answers: Sequence[Answer], labels: Sequence[str], *, adjudicator: str | None = None, at_least: int = 1) -> Gold:
    """Decide each sentence: by the adjudicator, else each label by more than half of those who answered.

    A sentence with a tie on any label, or with fewer than ``at_least`` answers, stays undecided.

    Raises:
        NetralError: Nobody of the adjudicator's name answered.
    """
    if adjudicator is not None and all(a.annotator != adjudicator for a in answers):
        raise NetralError(
            f"--adjudicator {adjudicator}: gave no answer", f"annotators: {', '.join(sorted({a.annotator for a in answers}))}"
        )
    gold: list[dict[str, Any]] = []
    undecided: list[dict[str, Any]] = []
    for (article, start, end), same in sorted(by_sentence(answers).items()):
        row: dict[str, Any] = {"article_id": article, "start": start, "end": end, "sentence": same[0].sentence}
        given = {a.annotator: a.labels for a in same if a.labels is not None}
        why = ""
        decided: list[str] | None = list(given[adjudicator]) if adjudicator is not None and adjudicator in given else None
        if decided is None:
            decided, why = _majority(list(given.values()), labels, at_least)
        if decided is not None:
            gold.append({**row, "labels": decided})
        else:
            undecided.append({**row, "why": why, "answers": {name: list(found) for name, found in given.items()}})
    return Gold(gold, undecided)


def _majority(given: Sequence[tuple[str, ...]], labels: Sequence[str], at_least: int) -> tuple[list[str] | None, str]:
    """Return the labels that more than half gave, or None and the reason.

    >>> _majority([("a",), ("a", "b"), ()], ["a", "b"], 1)
    (['a'], '')
    >>> _majority([("a",), ()], ["a", "b"], 1)
    (None, 'tie on a')
    """
    if len(given) < max(at_least, 1):
        return None, f"{len(given)} answers"
    votes = {label: 2 * sum(label in each for each in given) for label in labels}
    ties = [label for label, twice in votes.items() if twice == len(given)]
    if ties:
        return None, f"tie on {', '.join(ties)}"
    return [label for label in labels if votes[label] > len(given)], ""
