"""The output folder of a long job: the cut of the input into shards, and the files that say what is done.

DIR/manifest.json              what the job was started with; written first
DIR/part-00000.parquet         the labelled sentences of one shard
DIR/shards/00000.rejects.jsonl its rejected rows
DIR/shards/00000.json          its marker, written last: a shard without one was never done
DIR/rejects.jsonl, DIR/summary.json  of the whole job, written when every shard has its marker
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from netral.errors import NetralError
from netral.io.paths import replacing_file
from netral.io.readers import Row
from netral.io.writers import reject_line
from netral.provenance import file_digest, write_json
from netral.records import Reject, Sentence

MANIFEST, SUMMARY, REJECTS = "manifest.json", "summary.json", "rejects.jsonl"
# What a row weighs beside its text, so that a file of nothing but bad lines is cut too.
_ROW_BYTES = 100
# An article that comes as sentence records is kept in one shard, for its row in `--level article`, up to the size that an article
# which is read whole may have (read.max_record_bytes): a crawl in which every record names the same article is still cut.
_ARTICLE_BYTES = 10_000_000
_OWN = re.compile(r"part-\d{5,}\.parquet|manifest\.json|summary\.json|rejects\.jsonl")
_OWN_MARKERS = re.compile(r"\d{5,}\.json|\d{5,}\.rejects\.jsonl")
_TEMPORARY = re.compile(r"\.(?:(?:part|rejects|journal)-)?(\d{5,}|manifest|summary|rejects)[.\w]*\.tmp")
_LOCK = re.compile(r"\.lock(-.*)?")


@dataclass(slots=True)
class Shard:
    """Consecutive rows of the input.

    Attributes:
        index: Its place in the input, from 0.
        rows: Articles, sentences and rejects as read.
        input_bytes: What was read of the input for it.
        read_seconds: How long that took.
    """

    index: int
    rows: list[Row] = field(default_factory=list)
    input_bytes: int = 0
    read_seconds: float = 0.0

    def files(self) -> set[str]:
        """Return the names of the files that its rows come from."""
        return {row.file for row in self.rows}


def cut(rows: Iterable[Row], size: int, position: Callable[[], int]) -> Iterator[Shard]:
    """Group rows into shards; a shard closes when its text reaches ``size`` bytes and no more sentence records of its last article follow.

    The cut follows from the rows alone. ``position`` tells how much of the input has been read.
    """
    iterator = iter(rows)
    index = begun_at = 0
    ahead: Row | None = None
    while True:
        begun, shard, weight = time.perf_counter(), Shard(index), 0
        article: tuple[str, str] | None = None
        while weight < size or (article and weight < size + _ARTICLE_BYTES):
            row, ahead = (ahead or next(iterator, None)), None
            if row is None:
                break
            if not isinstance(row, Reject):
                before, article = article, (row.file, row.article_id if isinstance(row, Sentence) else row.id)
                if weight >= size and article != before:
                    ahead = row
                    break
            shard.rows.append(row)
            weight += _weight(row)
        if not shard.rows:
            return
        shard.input_bytes, begun_at = position() - begun_at, position()
        shard.read_seconds = time.perf_counter() - begun
        yield shard
        index += 1


def _weight(row: Row) -> int:
    if isinstance(row, Reject):
        return _ROW_BYTES + len(row.detail)
    return _ROW_BYTES + len(row.text.encode()) + (len(str(row.meta)) if row.meta else 0)


class OutputFolder:
    """Names, writes and checks the files of an output folder."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is touched yet."""
        self.path = path
        self.markers = path / "shards"

    def part(self, index: int) -> Path:
        """Return where a shard's rows go."""
        return self.path / f"part-{index:05d}.parquet"

    def rejects(self, index: int) -> Path:
        """Return where a shard's rejects go."""
        return self.markers / f"{index:05d}.rejects.jsonl"

    def marker(self, index: int) -> Path:
        """Return where a shard's marker goes."""
        return self.markers / f"{index:05d}.json"

    def temporary(self, kind: str, index: int, token: str) -> Path:
        """Return a name for a file at work: of one shard and one attempt at it."""
        return self.path / f".{kind}-{index:05d}.{token}.tmp"

    def read_manifest(self) -> dict[str, Any] | None:
        """Return the manifest of the job that the folder belongs to, or None if it belongs to none yet.

        Raises:
            NetralError: The folder holds something else, or the manifest is damaged.
        """
        if (self.path / MANIFEST).exists():
            try:
                found = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
            except ValueError:
                found = None
            if not isinstance(found, dict) or found.get("kind") != "netral label":
                raise NetralError(f"{self.path / MANIFEST}: not the manifest of a label job", "choose another --out")
            return found
        if any(not _TEMPORARY.fullmatch(path.name) and not _LOCK.fullmatch(path.name) for path in self.path.iterdir()):
            raise NetralError(f"{self.path}: a folder that no label job of this version wrote; it is not replaced", "choose another --out")
        return None

    def begin(self, manifest: dict[str, Any]) -> None:
        """Write the manifest."""
        write_durably(self.path / MANIFEST, manifest)

    def publish(self, index: int, token: str, marker: dict[str, Any]) -> None:
        """Move a shard's finished files to their names, then write its marker.

        The files were flushed to the disk by the worker; their names must be there before the marker says that they are.
        """
        self.markers.mkdir(exist_ok=True)
        os.replace(self.temporary("part", index, token), self.part(index))
        os.replace(self.temporary("rejects", index, token), self.rejects(index))
        sync_folder(self.path)
        sync_folder(self.markers)
        write_durably(self.marker(index), marker)

    def read_marker(self, index: int) -> dict[str, Any] | None:
        """Return a shard's marker if it has one."""
        try:
            marker = json.loads(self.marker(index).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return marker if isinstance(marker, dict) else None

    def done(self, index: int) -> bool:
        """Tell whether a shard has a marker that fits its files, byte for byte."""
        marker = self.read_marker(index)
        try:
            return marker is not None and all(
                path.stat().st_size == marker[name]["bytes"] and file_digest(path) == marker[name]["sha256"]
                for name, path in (("part", self.part(index)), ("rejects", self.rejects(index)))
            )
        except (OSError, KeyError, TypeError):
            return False

    def first_rejects(self, count: int) -> list[str]:
        """Return the first three rejects for a message."""
        lines: list[str] = []
        for index in range(count):
            with self.rejects(index).open(encoding="utf-8") as stream:
                lines += [reject_line(Reject(**json.loads(line))) for line in islice(stream, 3 - len(lines))]
        return lines

    def read_summary(self) -> dict[str, Any] | None:
        """Return the summary if the whole job is done and every file is what its marker says."""
        try:
            summary = json.loads((self.path / SUMMARY).read_text(encoding="utf-8"))
            whole = (self.path / REJECTS).exists() and all(self.done(index) for index in range(summary["shards"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return summary if whole and isinstance(summary, dict) else None

    def finish(self, count: int, summary: dict[str, Any]) -> None:
        """Write the rejects of all shards in order, and the summary."""
        with replacing_file(self.path / REJECTS) as beside:
            with beside.open("wb") as whole:
                for index in range(count):
                    with self.rejects(index).open("rb") as part:
                        shutil.copyfileobj(part, whole)
                os.fsync(whole.fileno())
        write_durably(self.path / SUMMARY, summary)

    def clear(self) -> None:
        """Remove what label jobs wrote here, the manifest last; other files stay."""
        markers = [path for path in _listed(self.markers) if _OWN_MARKERS.fullmatch(path.name)]
        own = [path for path in _listed(self.path) if _OWN.fullmatch(path.name)]
        for path in (*markers, *sorted(own, key=lambda path: path.name == MANIFEST)):
            path.unlink()
        self.remove_temporary(lambda index: True)
        with suppress(OSError):
            self.markers.rmdir()

    def remove_temporary(self, mine: Callable[[int], bool]) -> None:
        """Remove what attempts that died left of the shards that are ``mine``."""
        for path in (*_listed(self.path), *_listed(self.markers)):
            found = _TEMPORARY.fullmatch(path.name)
            if found and (not found[1].isdigit() or mine(int(found[1]))):
                path.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> NetralError:
    """Return the error of a job that cannot write one of its files."""
    return NetralError(
        f"{path}: cannot be written ({error.strerror or error})",
        "free space or mend the disk, then run the same command again: finished shards are kept",
    )


def write_durably(path: Path, data: Any) -> None:
    """Write JSON beside the name and rename it, flushed to the disk: after a power cut it is whole or not there."""
    with replacing_file(path) as beside:
        write_json(beside, data)
        sync_file(beside)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Flush a file's bytes to the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Flush a folder's names to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
