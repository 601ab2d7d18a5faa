"""Proves that every labelled row still stands in its source: `netral verify`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.jobs.job import sidecars
from inference.outputs.read import output_rows
from netral.config import ReadSettings
from netral.errors import NetralError
from netral.io.paths import STDIN, require_extra
from netral.io.readers import Row, given_provenance, read_file
from netral.progress import Progress
from netral.records import Article, Provenance, Reject, Sentence

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
    sources = Sources(read or recorded_settings(out), source)
    count, given, wanted = 0, None, None
    with Progress("verify", "rows") as progress:
        for count, (_, row) in enumerate(output_rows(out, _COLUMNS), 1):
            progress.advance(1)
            # The sentences of an article share one; checking it costs as much as reading the row.
            if row["provenance"] != given:
                given, wanted = row["provenance"], given_provenance(row)
            if wanted is None:
                yield Mismatch(count, str(row["sentence_id"]), "", 0, "no_provenance")
                continue
            found = sources.find(wanted)
            reason = found if isinstance(found, str) else slice_problem(found, row)
            if reason:
                yield Mismatch(count, str(row["sentence_id"]), wanted.file, wanted.row, reason)
    yield count


class Sources:
    """Finds the source row of one output row after the other, reading each file forward (and anew where they are not in order)."""

    def __init__(self, read: ReadSettings, folder: Path | None = None) -> None:
        """Say how sources are read, and a folder to look for them in, where they no longer lie under the names in the output."""
        self._read, self._folder = read, folder
        self._file: str | None = None
        self._row = 0
        self._rows: Iterator[Row] = iter(())
        self._gone = False
        self._found: Article | Sentence | None = None

    def find(self, wanted: Provenance) -> Article | Sentence | str:
        """Return the source row, or why it is not what it was: ``source_gone``, ``row_gone`` or ``digest_differs``.

        Raises:
            NetralError: Reading the file needs the extra `crawl`, which is not installed.
        """
        if self._file != wanted.file or self._row > wanted.row:
            self._open(wanted.file)
        while self._row < wanted.row and (item := next(self._rows, None)) is not None:
            self._row = item.row
            self._found = None if isinstance(item, Reject) else item
        found = self._found
        if self._gone:
            return "source_gone"
        if self._row != wanted.row or found is None or found.provenance is None:
            return "row_gone"
        same = (found.provenance.sha256, found.provenance.offset) == (wanted.sha256, wanted.offset)
        return found if same else "digest_differs"

    def _open(self, file: str) -> None:
        path = _find(file, self._folder)
        self._file, self._row, self._found, self._gone = file, 0, None, path is None
        if path is not None:
            require_extra([path])
        self._rows = iter(()) if path is None else read_file(path, file, self._read)


def slice_problem(found: Article | Sentence, row: dict[str, Any]) -> str:
    """Return ``slice_differs`` if the source does not hold the row's sentence at its offsets, else nothing."""
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
