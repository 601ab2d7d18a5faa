"""Proves that every labelled row still stands in its source: `netral verify`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inference.job import is_folder, sidecars
from netral.config import ReadSettings
from netral.errors import NetralError
from netral.io.paths import STDIN
from netral.io.readers import given_provenance, read_file
from netral.progress import Progress
from netral.records import Article, Provenance, Reject, Sentence

_PARQUET_ROWS = 4096
_COLUMNS = ("sentence_id", "start", "end", "sentence", "provenance")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A row of the output that its source does not bear out.

    Attributes:
        row: The 1-based row of the output, parts of a folder counted through.
        sentence_id: Its id.
        file: The source that it names.
        source_row: The row in that source.
        reason: ``no_provenance``, ``source_gone``, ``row_gone``, ``digest_differs`` or ``slice_differs``.
    """

    row: int
    sentence_id: str
    file: str
    source_row: int
    reason: str


def verify(out: str, read: ReadSettings | None = None, source: Path | None = None) -> Iterator[Mismatch | int]:
    """Read the sources of an output again and compare digests and slices.

    Args:
        out: An output of `netral label` or `netral split`.
        read: How the sources are read; None takes what the summary beside the output says, else the defaults.
        source: A folder to look for the sources in, where they no longer lie under the names in the output.

    Yields:
        Each mismatch, in order, and at the end the number of rows that were looked at. Memory does not grow with the output: its
        rows are in the order of their sources, which are read along with it (and anew where they are not in order).

    Raises:
        NetralError: The output is missing or no output of netral.
    """
    read = read or recorded_settings(out)
    reader: _Reader | None = None
    count = 0
    with Progress("verify", "rows") as progress:
        for count, row in enumerate(_output_rows(out), 1):
            progress.advance(1)
            wanted = given_provenance(row)
            if wanted is None:
                yield Mismatch(count, str(row["sentence_id"]), "", 0, "no_provenance")
                continue
            if reader is None or reader.file != wanted.file or reader.row > wanted.row:
                reader = _Reader(wanted.file, _find(wanted.file, source), read)
            reason = reader.compare(wanted, row)
            if reason:
                yield Mismatch(count, str(row["sentence_id"]), wanted.file, wanted.row, reason)
    yield count


class _Reader:
    """Reads one source forward to the rows that are asked for."""

    def __init__(self, file: str, path: Path | None, read: ReadSettings) -> None:
        self.file, self.row = file, 0
        self._rows = iter(()) if path is None else read_file(path, file, read)
        self._gone = path is None
        self._found: Article | Sentence | None = None

    def compare(self, wanted: Provenance, row: dict[str, Any]) -> str:
        """Return why the source does not bear out the row, or nothing."""
        while self.row < wanted.row and (item := next(self._rows, None)) is not None:
            self.row = item.row
            self._found = None if isinstance(item, Reject) else item
        found = self._found
        if self._gone:
            return "source_gone"
        if self.row != wanted.row or found is None or found.provenance is None:
            return "row_gone"
        if (found.provenance.sha256, found.provenance.offset) != (wanted.sha256, wanted.offset):
            return "digest_differs"
        base = found.start if isinstance(found, Sentence) else 0
        return "" if found.text[row["start"] - base : row["end"] - base] == row["sentence"] else "slice_differs"


def recorded_settings(out: str) -> ReadSettings:
    """Return how the sources of an output were read, as its summary says; the defaults where there is none."""
    summary = None if out == STDIN else sidecars(out)[1]
    if summary is None or not summary.is_file():
        return ReadSettings()
    try:
        return ReadSettings.model_validate(json.loads(summary.read_text(encoding="utf-8"))["settings"]["read"])
    except (ValueError, KeyError, TypeError):
        raise NetralError(f"{summary}: does not say how the sources were read", "pass the configuration of that run with -c") from None


def _find(file: str, source: Path | None) -> Path | None:
    """Return where a source lies: under its name, or in ``source`` under as much of the end of its name as is found there."""
    path = Path(file)
    parts = path.parts[1:] if path.is_absolute() else path.parts
    tries = [path] if source is None else [source.joinpath(*parts[i:]) for i in range(len(parts))]
    return next((each for each in tries if each.is_file()), None)


def _output_rows(out: str) -> Iterator[dict[str, Any]]:
    path = Path(out)
    if not path.exists():
        raise NetralError(f"{out}: no such output", "name what --out of `netral label` named")
    try:
        for part in sorted(path.glob("part-*.parquet")) if is_folder(out) else [path]:
            for row in _parquet_rows(part) if part.suffix == ".parquet" else map(json.loads, part.open(encoding="utf-8")):
                if "strongest" in row:
                    raise NetralError(f"{out}: rows of articles; sentences are verified", "label with --level sentence and verify that")
                if not all(name in row for name in _COLUMNS):
                    raise ValueError(f"a row lacks one of {', '.join(_COLUMNS)}")
                if not (isinstance(row["start"], int) and isinstance(row["end"], int)):
                    raise ValueError("offsets that are no whole numbers")
                yield row
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise NetralError(f"{out}: not an output of netral label or split of this version ({error})", "label the crawl again") from None


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    file = pq.ParquetFile(path)
    if "strongest" in file.schema_arrow.names:
        raise NetralError(f"{path}: rows of articles; sentences are verified", "label with --level sentence and verify that")
    missing = set(_COLUMNS) - set(file.schema_arrow.names)
    if missing:
        raise ValueError(f"no column {', '.join(sorted(missing))}")
    for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=list(_COLUMNS)):
        yield from batch.to_pylist()
