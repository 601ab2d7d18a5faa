"""The output folder of a Ray job, on a disk or in an object store, and what it says about the rows that are done.

DIR/manifest.json                        model and settings of every run into it; written first
DIR/part-000-000003-00001.parquet        labelled sentences; numbers of the run, of the group of input files, of the part in it
DIR/shards/000-000003-00001.rows.parquet provenance and id of each input row of that part, rejected ones included
DIR/shards/000-000003-00001.rejects.jsonl
DIR/shards/000-000003-00001.json         its marker, written last: a part without one was never done
DIR/rejects.jsonl, DIR/summary.json      over all parts; written at the end of a run
"""

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from inference.jobs.shards import MANIFEST, REJECTS, SUMMARY
from netral.errors import NetralError
from netral.io.remote import filesystem, is_uri
from netral.io.writers import SENTENCE, ParquetWriter, json_line, reject_line, reject_row
from netral.records import Reject

KIND = "netral label --engine ray"
# Provenance and final id of one input row; a rejected row has no id.
Done = tuple[str, str | None]
_ROWS_SCHEMA = pa.schema([("provenance", pa.string()), ("id", pa.string())])
_NAME = r"\d{3,}-\d{6,}-\d{5,}"
_MARKER = re.compile(rf"({_NAME})\.json")
_OWN = re.compile(rf"(?:part-)?({_NAME})\.(?:parquet|rows\.parquet|rejects\.jsonl|json)")
_WHOLE = (SUMMARY, REJECTS, MANIFEST)


class RayFolder:
    """Reads and writes the folder; it pickles, so that tasks on other machines can write to it."""

    def __init__(self, out: str) -> None:
        """Name the folder, a path or a URI; nothing is touched yet."""
        self.out = out if is_uri(out) else str(Path(out).absolute())

    def write_part(
        self, name: str, found: Iterable[dict[str, Any] | Reject], done: Sequence[Done], labels: Sequence[str], level: str = SENTENCE
    ) -> int:
        """Write rows, rejects and provenance of one part and return the bytes of its rows; it counts once :meth:`publish` is called."""
        rejects: list[Reject] = []

        def write_rows(stream: Any) -> None:
            writer = ParquetWriter(stream, labels, level)
            for each in found:
                if isinstance(each, Reject):
                    rejects.append(each)
                else:
                    writer.write(each)
            writer.close()

        rows = pa.Table.from_pylist([{"provenance": key, "id": row_id} for key, row_id in done], schema=_ROWS_SCHEMA)
        size = self._write(f"part-{name}.parquet", write_rows)
        self._write(f"shards/{name}.rows.parquet", lambda stream: pq.write_table(rows, stream, compression="zstd"))
        self._write_text(f"shards/{name}.rejects.jsonl", "".join(json_line(reject_row(reject)) for reject in rejects))
        return size

    def publish(self, name: str, marker: dict[str, Any]) -> None:
        """Write the marker of a part whose files are there."""
        self._write_text(f"shards/{name}.json", json.dumps(marker))

    def begin(self, manifest: dict[str, Any], overwrite: bool) -> dict[str, dict[str, Any]]:
        """Take the folder up and return the markers of what is done, by name in the order of the input.

        Raises:
            NetralError: It was written with another model or other settings, or by something else.
        """
        store, root = self._store()
        store.create_dir(f"{root}/shards", recursive=True)
        found = self._read_manifest()
        differences = [key for key in manifest if found and found.get(key) != manifest[key]]
        if differences and not overwrite:
            raise NetralError(
                f"{self.out}: was written with other {', '.join(differences)}", "pass --overwrite to start over, or choose another --out"
            )
        if differences or not found:
            self._clear(set())
            self._write_text(MANIFEST, json.dumps(manifest, indent=2))
        markers = self._markers()
        self._clear(set(markers), keep=_WHOLE)
        return markers

    def done(self, names: Iterable[str]) -> Iterator[Done]:
        """Yield provenance and id of every input row that these parts hold."""
        store, root = self._store()
        for name in names:
            table = pq.read_table(f"{root}/shards/{name}.rows.parquet", filesystem=store)
            yield from zip(table["provenance"].to_pylist(), table["id"].to_pylist(), strict=True)

    def read_summary(self) -> dict[str, Any] | None:
        """Return the summary of the last run that ended."""
        found = self._read_json(SUMMARY)
        return found if isinstance(found, dict) else None

    def finish(self, names: Sequence[str], summary: dict[str, Any]) -> None:
        """Write the rejects of all parts in order, and the summary."""
        self._write(REJECTS, lambda stream: [stream.write(self._read(f"shards/{name}.rejects.jsonl")) for name in names])
        self._write_text(SUMMARY, json.dumps(summary, ensure_ascii=False, indent=2) + "\n")

    def remove_summary(self) -> None:
        """Remove the summary: it does not tell of what is about to be written."""
        self._delete(SUMMARY)

    def first_rejects(self, names: Iterable[str]) -> list[str]:
        """Return the first three rejects for a message."""
        lines: list[str] = []
        for name in names:
            text = self._read(f"shards/{name}.rejects.jsonl").decode()
            lines += [reject_line(Reject(**json.loads(line))) for line in text.splitlines()[: 3 - len(lines)]]
        return lines

    def clear(self) -> None:
        """Remove everything that Ray jobs wrote here."""
        self._clear(set())
        store, root = self._store()
        if not store.get_file_info(fs.FileSelector(f"{root}/shards", allow_not_found=True)):
            store.delete_dir(f"{root}/shards")

    def _store(self) -> tuple[Any, str]:
        return filesystem(self.out) if is_uri(self.out) else (fs.LocalFileSystem(), self.out)

    def _read_manifest(self) -> dict[str, Any] | None:
        found = self._read_json(MANIFEST)
        if isinstance(found, dict) and found.get("kind") == KIND:
            return found
        foreign = [path for path in self._listed() if not _OWN.fullmatch(path.name) and not path.name.startswith(".")]
        if foreign:
            raise NetralError(f"{self.out}: a folder that no Ray job wrote ({foreign[0].name}); it is not replaced", "choose another --out")
        return None

    def _markers(self) -> dict[str, dict[str, Any]]:
        """Return the markers whose parts are there in full."""
        sizes = {PurePosixPath(info.path).name: info.size for info in self._infos()}
        names = sorted(found[1] for name in sizes if (found := _MARKER.fullmatch(name)))
        markers = {name: self._read_json(f"shards/{name}.json") for name in names}
        return {name: each for name, each in markers.items() if each and sizes.get(f"part-{name}.parquet") == each["part_bytes"]}

    def _clear(self, names: set[str], keep: Sequence[str] = ()) -> None:
        """Remove what Ray jobs wrote but these parts and files; first the markers, so that none is left without its part."""
        for path in sorted(self._listed(), key=lambda path: path.suffix != ".json"):
            own = _OWN.fullmatch(path.name)
            if (own and own[1] not in names) or path.name.endswith(".netral.tmp") or (path.name in _WHOLE and path.name not in keep):
                self._store()[0].delete_file(str(path))

    def _infos(self) -> list[Any]:
        store, root = self._store()
        folders = (fs.FileSelector(each, allow_not_found=True) for each in (root, f"{root}/shards"))
        return [info for folder in folders for info in store.get_file_info(folder) if info.is_file]

    def _listed(self) -> list[PurePosixPath]:
        return [PurePosixPath(info.path) for info in self._infos()]

    def _read(self, name: str) -> bytes:
        store, root = self._store()
        with store.open_input_stream(f"{root}/{name}") as stream:
            return bytes(stream.read())

    def _read_json(self, name: str) -> Any:
        try:
            return json.loads(self._read(name))
        except (OSError, ValueError):
            return None

    def _delete(self, name: str) -> None:
        store, root = self._store()
        if store.get_file_info(f"{root}/{name}").is_file:
            store.delete_file(f"{root}/{name}")

    def _write_text(self, name: str, text: str) -> None:
        self._write(name, lambda stream: stream.write(text.encode()))

    def _write(self, name: str, write: Callable[[Any], Any]) -> int:
        """Write a file beside its name, move it there, and return its size: a task that dies or runs twice leaves no half of one."""
        store, root = self._store()
        folder, _, last = f"{root}/{name}".rpartition("/")
        beside = f"{folder}/.{last}.{uuid.uuid4().hex[:8]}.netral.tmp"
        with store.open_output_stream(beside) as stream:
            write(stream)
            size = int(stream.tell())
        store.move(beside, f"{root}/{name}")
        return size
