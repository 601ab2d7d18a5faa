"""Prodigy: JSON lines for the `choice` interface with several choices; reads what `prodigy db-out` writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netral.errors import NetralError
from training.annotation.formats.common import carried, context, label_list, load, origin_and_text, write_lines
from training.annotation.task import Answer, Task

_ANSWERS = ("accept", "reject", "ignore")


def write(tasks: list[Task], path: Path) -> None:
    """Write the tasks: the labels as options with their scores, those suggested chosen beforehand."""
    write_lines(path, map(_row, tasks))


def _row(task: Task) -> dict[str, Any]:
    return {
        "text": task.sentence,
        "options": [{"id": label, "text": label, "meta": f"{score:.2f}"} for label, score in task.scores.items()],
        "accept": list(task.origin.suggested or ()),
        "meta": {**context(task), "strategy": task.origin.strategy},
        **carried(task),
    }


def read(path: Path, annotator: str | None) -> Iterator[Answer]:
    """Yield the answers: accepted tasks with the options chosen; rejected and ignored ones without labels.

    Raises:
        NetralError: A record is not of a task that netral exported, or says of nobody who answered.
    """
    for where, record in load(path):
        origin, sentence = origin_and_text(record, record.get("text"), where)
        if record.get("answer") not in _ANSWERS:
            raise NetralError(f"{where}: `answer` is {record.get('answer')!r}", "import what `prodigy db-out` writes")
        name = record.get("_annotator_id") or record.get("_session_id") or annotator
        if not name:
            raise NetralError(f"{where}: neither _annotator_id nor _session_id", "name the person with --annotator")
        labels = label_list(record.get("accept", []), where) if record["answer"] == "accept" else None
        yield Answer(origin, sentence, str(name), labels)
