"""What several formats share."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from netral.errors import NetralError
from netral.io.streams import read_lines
from netral.io.writers import JsonlWriter
from training.annotation.task import Origin, Task, origin_row, read_origin

# A tool's export is not a crawl: nothing in it comes from strangers, and a JSON export is one line.
_LIMIT = 1 << 30
SEPARATOR = " "


def load(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of a JSON list or of JSON lines, each with its place for messages.

    Raises:
        NetralError: The file cannot be read or a record is no JSON object.
    """
    if path.suffix.lower() == ".json":
        yield from _load_list(path)
        return
    for line in read_lines(path, _LIMIT):
        where = f"{path}:{line.row}"
        if line.reason:
            raise NetralError(f"{where}: {line.reason}: {line.detail}", "export the file again")
        if not line.data.strip():
            continue
        if line.row == 1 and line.data.lstrip().startswith(b"["):
            yield from _load_list(path)
            return
        try:
            record = json.loads(line.data)
        except (ValueError, RecursionError) as error:
            raise NetralError(f"{where}: no JSON ({error})", "a JSON list must be named .json, JSON lines .jsonl") from None
        yield where, _object(record, where)


def _load_list(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        records = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise NetralError(f"{path}: no JSON ({error})", "export the file again; JSON lines must be named .jsonl") from None
    if not isinstance(records, list):
        raise NetralError(f"{path}: holds no list of records", "export the file again")
    for number, record in enumerate(records, 1):
        where = f"{path}: record {number}"
        yield where, _object(record, where)


def _object(record: Any, where: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise NetralError(f"{where}: no JSON object", "export the file again")
    return record


def carried(task: Task) -> dict[str, Any]:
    """Return what a tool only carries through: the origin, the scores, and earlier answers where there are any."""
    row = {**origin_row(task.origin), "scores": task.scores}
    if task.answers is not None:
        row["answers"] = {name: list(labels) for name, labels in task.answers.items()}
    return row


def context(task: Task) -> dict[str, str]:
    """Return the sentences around a task's, as text for people."""
    return {"before": SEPARATOR.join(task.before), "after": SEPARATOR.join(task.after)}


def origin_and_text(row: dict[str, Any], text: Any, where: str) -> tuple[Origin, str]:
    """Return the origin in a record and its sentence.

    Raises:
        NetralError: The origin is incomplete, or the sentence is no text.
    """
    if not isinstance(text, str) or not text:
        raise NetralError(f"{where}: the sentence is missing", "import a file whose tasks were made by `netral annotate export`")
    return read_origin(row, where), text


def label_list(value: Any, where: str) -> tuple[str, ...]:
    """Check that a value is a list of labels.

    >>> label_list(["warning"], "x")
    ('warning',)
    """
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise NetralError(f"{where}: the labels are no list of names", "export the answers as multi-label classification")
    return tuple(value)


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines."""
    with JsonlWriter(path) as writer:
        for row in rows:
            writer.write(row)


def write_list(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a JSON list."""
    path.write_text(json.dumps(list(rows), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
