"""The `netral` format: JSON lines, one answer a line. docs/annotation.md describes it for other programs that write it."""

from collections.abc import Iterator
from pathlib import Path

from netral.errors import NetralError
from training.annotation.formats.common import carried, label_list, load, origin_and_text, write_lines
from training.annotation.task import Answer, Task


def write(tasks: list[Task], path: Path) -> None:
    """Write tasks: answers with an empty annotator, to be filled in."""
    write_lines(
        path,
        (
            {"sentence": t.sentence, "before": list(t.before), "after": list(t.after), "annotator": "", "labels": None, **carried(t)}
            for t in tasks
        ),
    )


def read(path: Path, annotator: str | None) -> Iterator[Answer]:
    """Yield the answers; rows without an annotator are tasks that nobody answered.

    Raises:
        NetralError: A row is no answer.
    """
    for where, row in load(path):
        if "labels" not in row:
            raise NetralError(f"{where}: no answer, `labels` is missing", "each row needs the fields that docs/annotation.md lists")
        origin, sentence = origin_and_text(row, row.get("sentence"), where)
        name = row.get("annotator") or (annotator if row["labels"] is not None else None)
        if name:
            yield Answer(origin, sentence, str(name), None if row["labels"] is None else label_list(row["labels"], where))
