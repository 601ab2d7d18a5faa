"""CSV for spreadsheets: a row a sentence, a column a label. A row counts as answered when its `annotator` is filled in."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netral.errors import NetralError
from netral.io.csv_rows import read_csv
from training.annotation.formats.common import context, origin_and_text
from training.annotation.task import ORIGIN_FIELDS, Answer, Task, origin_row

_LABEL = "label "
_SCORE = "score "
_SKIPPED = "skipped"
_YES = frozenset({"1", "x", "y", "ya", "yes", "true"})
_NO = frozenset({"", "0", "n", "tidak", "no", "false", "-"})
_LIMIT = 10_000_000
# A spreadsheet takes a cell that begins so for a formula, and the text of a crawl is anybody's.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def write(tasks: list[Task], path: Path) -> None:
    """Write the tasks, the suggested labels as 1 and the others as 0."""
    labels = list(tasks[0].scores) if tasks else []
    answers = sorted({name for t in tasks for name in t.answers or {}})
    header = ["before", "sentence", "after", *(_LABEL + k for k in labels), "annotator", _SKIPPED, *(_SCORE + k for k in labels)]
    header += [f"answer {name}" for name in answers] + list(ORIGIN_FIELDS)
    # The mark at the beginning is what makes Excel read UTF-8.
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        # All text in quotation marks: the csv module would leave a lone carriage return without, and readers end the row there.
        writer = csv.DictWriter(stream, header, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        for task in tasks:
            writer.writerow({name: guarded(value) if isinstance(value, str) else value for name, value in _cells(task).items()})


def _cells(task: Task) -> dict[str, Any]:
    origin = origin_row(task.origin)
    origin["suggested"] = None if origin["suggested"] is None else json.dumps(origin["suggested"], ensure_ascii=False)
    suggested = set(task.origin.suggested or ())
    return {
        "sentence": task.sentence,
        **context(task),
        **{_LABEL + label: int(label in suggested) for label in task.scores},
        **{_SCORE + label: score for label, score in task.scores.items()},
        **{f"answer {name}": " ".join(labels) or "(none)" for name, labels in (task.answers or {}).items()},
        **origin,
    }


def guarded(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would compute.

    >>> guarded("=1+1"), guarded("ASN netral"), unguarded(guarded("'=1")) == "'=1"
    ("'=1+1", 'ASN netral', True)
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def unguarded(cell: str) -> str:
    """Take the apostrophe away again."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def read(path: Path, annotator: str | None) -> Iterator[Answer]:
    """Yield the answers; rows without an annotator were not answered, unless ``annotator`` says whose file it is.

    Raises:
        NetralError: The file is no CSV of netral's columns, or a cell is neither yes nor no.
    """
    labels: list[str] = []
    for row in read_csv(path, _LIMIT):
        where = f"{path}:{row.row}"
        if row.reason:
            raise NetralError(f"{where}: {row.reason}: {row.detail}", "save the sheet as CSV, UTF-8")
        if not labels:
            labels = [name.removeprefix(_LABEL) for name in row.cells if name.startswith(_LABEL)]
            if not labels:
                raise NetralError(f"{where}: no column `{_LABEL}…`", "import a sheet that `netral annotate export` wrote")
            continue
        cells = {name: unguarded(cell) for name, cell in row.cells.items()}
        name = cells.get("annotator", "").strip() or annotator
        if name:
            origin, sentence = origin_and_text(_typed(cells, where), cells.get("sentence"), where)
            given = tuple(label for label in labels if _is_yes(cells.get(_LABEL + label, ""), where, label))
            yield Answer(origin, sentence, name, None if _is_yes(cells.get(_SKIPPED, ""), where, _SKIPPED) else given)


def _typed(cells: dict[str, str], where: str) -> dict[str, Any]:
    row: dict[str, Any] = {name: cells[name] for name in ORIGIN_FIELDS if name in cells}
    try:
        row |= {name: int(row[name]) for name in ("start", "end") if name in row}
        if "inclusion_probability" in row:
            row["inclusion_probability"] = float(row["inclusion_probability"])
        if "suggested" in row:
            row["suggested"] = json.loads(row["suggested"])
    except ValueError as error:
        raise NetralError(
            f"{where}: {error}", "the spreadsheet changed a column that it should only keep; import the sheet again"
        ) from None
    return row


def _is_yes(cell: str, where: str, column: str) -> bool:
    value = cell.strip().lower()
    if value not in _YES | _NO:
        raise NetralError(f"{where}: {column} is {cell!r}", "write 1 or x for yes; 0 or nothing for no")
    return value in _YES
