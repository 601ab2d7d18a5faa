"""The file formats of annotation tools: tasks out, answers back.

Each module has ``write(tasks, path)`` and ``read(path, annotator)``; the labels to choose from are the keys of a task's scores.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netral.errors import NetralError
from training.annotation.formats import argilla, doccano, label_studio, netral_rows, prodigy, table
from training.annotation.formats.common import load
from training.annotation.task import Answer, Task

Write = Callable[[list[Task], Path], None]
Read = Callable[[Path, str | None], Iterator[Answer]]


@dataclass(frozen=True, slots=True)
class Format:
    """How one tool's files are written and read, and for some the labelling interface that their project needs."""

    write: Write
    read: Read
    interface: Callable[[list[str]], str] | None = None


FORMATS = {
    "label-studio": Format(label_studio.write, label_studio.read, label_studio.interface),
    "doccano": Format(doccano.write, doccano.read),
    "prodigy": Format(prodigy.write, prodigy.read),
    "argilla": Format(argilla.write, argilla.read),
    "csv": Format(table.write, table.read),
    "netral": Format(netral_rows.write, netral_rows.read),
}


def format_named(name: str) -> Format:
    """Return a format by its name.

    Raises:
        NetralError: There is none of that name.
    """
    if name not in FORMATS:
        raise NetralError(f"--format {name}: unknown", f"choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


def detect(path: Path) -> str:
    """Tell a file's format from its first record.

    Raises:
        NetralError: The file holds nothing, or its first record fits no format.
    """
    if path.suffix.lower() == ".csv":
        return "csv"
    if path.suffix.lower() == ".zip":
        return "doccano"
    first = next(iter(load(path)), None)
    name = _format_of(first[1]) if first else None
    if name is None:
        known = "; its first record has " + ", ".join(sorted(map(str, first[1]))[:8]) if first else ", it holds no record"
        raise NetralError(f"{path}: no format that is known{known}", f"name it with --format: {', '.join(FORMATS)}")
    return name


def _format_of(record: dict[str, Any]) -> str | None:
    """Tell the format of one record.

    >>> _format_of({"text": "a", "label": ["x"]}), _format_of({"answer": "accept", "text": "a"})
    ('doccano', 'prodigy')
    """
    keys = record.keys()
    if ("annotations" in keys and "data" in keys) or "annotation_id" in keys:
        return "label-studio"
    if "fields" in keys and "responses" in keys:
        return "argilla"
    if "answer" in keys:
        return "prodigy"
    if "annotator" in keys and "labels" in keys:
        return "netral"
    if "label" in keys and ("text" in keys or "data" in keys):
        return "doccano"
    return None
