"""doccano: JSON lines of a text classification project; reads the export of one person, or the .zip of all."""

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from netral.errors import NetralError
from training.annotation.formats.common import carried, context, label_list, load, origin_and_text, write_lines
from training.annotation.task import Answer, Task


def write(tasks: list[Task], path: Path) -> None:
    """Write the tasks; what is not `text` and `label` becomes metadata, which doccano shows beside the text and exports again."""
    write_lines(path, ({"text": t.sentence, "label": list(t.origin.suggested or ()), **context(t), **carried(t)} for t in tasks))


def read(path: Path, annotator: str | None) -> Iterator[Answer]:
    """Yield the answers. doccano names each person's file after them: that is the annotator, unless one is given.

    Raises:
        NetralError: A record is not of a task that netral exported.
    """
    if path.suffix.lower() == ".zip":
        yield from _read_zip(path)
        return
    for where, record in load(path):
        origin, sentence = origin_and_text(record, record.get("text", record.get("data")), where)
        yield Answer(origin, sentence, annotator or path.stem, label_list(record.get("label"), where))


def _read_zip(path: Path) -> Iterator[Answer]:
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            for name in sorted(name for name in archive.namelist() if name.endswith((".jsonl", ".json"))):
                # Only the last part of the name, wherever the archive says it belongs.
                member = Path(folder) / Path(name).name
                member.write_bytes(archive.read(name))
                yield from read(member, None)
    except zipfile.BadZipFile:
        raise NetralError(f"{path}: no zip file", "export it again from doccano, as JSONL") from None
