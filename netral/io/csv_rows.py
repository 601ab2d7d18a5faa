"""Reads CSV with a header, row by row, within a bound."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from netral.io.remote import RemoteFile
from netral.io.streams import Line, read_lines

_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One record: the line it begins in, its bytes without the line end, and its cells by column; or the reason why there is none.

    An empty cell is left out: CSV cannot tell it from an absent one.
    """

    row: int
    data: bytes = b""
    cells: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""


class _LineProblem(Exception):
    """A line that cannot be read; ``args[0]`` is the Line."""


class _Lines:
    """Gives the csv module the lines of one record after the other, and remembers which."""

    def __init__(self, lines: Iterator[Line], limit: int) -> None:
        self._lines, self._limit = lines, limit
        self.begin()

    def begin(self) -> None:
        self.first, self._parts, self._size = 0, list[bytes](), 0

    def data(self) -> bytes:
        return b"".join(self._parts).rstrip(b"\r\n")

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.first = self.first or line.row
        if line.reason:
            raise _LineProblem(line)
        self._parts.append(line.data)
        self._size += len(line.data)
        if self._size > self._limit:
            detail = f"more than {self._limit} bytes: a quotation mark that is not closed, or read.max_record_bytes is too small"
            raise _LineProblem(Line(self.first, reason="record_too_large", detail=detail))
        # Bytes that are no UTF-8 become half surrogates, so that the row they stand in can be told.
        return line.data.decode("utf-8", "surrogateescape")


def read_csv(path: Path | RemoteFile, limit: int, columns: Sequence[str] | None = None, *, tabs: bool = False) -> Iterator[CsvRow]:
    """Yield the header as the first row (its cells are the columns by their own names), then the records.

    The delimiter is the one of comma, semicolon, tab and bar that the first line has most of, with ``tabs`` always a tab. A file
    without a header has the ``columns`` given. A record may span lines within
    quotation marks. A row with more or fewer cells than the header is a reason, and so is what cannot be decompressed.
    """
    # The csv module's own bound, 128 KiB a cell, is for the whole process; ours is on the record.
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    lines = _Lines(read_lines(path, limit), limit)
    header: list[str] | None = None
    delimiter, begun = "\t" if tabs else "", False
    if columns is not None:
        header = list(columns)
        yield CsvRow(0, cells={name: name for name in columns})
    while True:
        lines.begin()
        try:
            first = next(lines).removeprefix("\ufeff") if header is None or not begun else None
            begun = True
            delimiter = delimiter or _delimiter(first or "")
            if header is None:
                cells = next(csv.reader([first or ""], delimiter=delimiter, strict=True), [])
            else:
                cells = next(csv.reader(lines if first is None else chain([first], lines), delimiter=delimiter, strict=True))
        except StopIteration:
            return
        except _LineProblem as problem:
            line: Line = problem.args[0]
            yield CsvRow(line.row, reason=line.reason, detail=line.detail)
            continue
        except csv.Error as error:
            yield CsvRow(lines.first, reason="not_csv", detail=str(error))
            continue
        if not any(cell.strip() for cell in cells):
            continue
        row = _row(lines, cells, header)
        if header is None and not row.reason:
            header = list(row.cells)
        yield row
        if header is None:
            return  # without a header no row can be read


def _row(lines: _Lines, cells: list[str], header: list[str] | None) -> CsvRow:
    data = lines.data()
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return CsvRow(lines.first, data, reason="not_utf8", detail="a byte that is not UTF-8; convert the file to UTF-8")
    if header is None:
        names = [cell.removeprefix("\ufeff").strip() for cell in cells]
        names = [name or f"column_{i}" for i, name in enumerate(names, 1)]
        if len(set(names)) < len(names):
            return CsvRow(lines.first, data, reason="wrong_columns", detail="two columns of the header have one name")
        return CsvRow(lines.first, data, {name: name for name in names})
    if len(cells) != len(header):
        return CsvRow(lines.first, data, reason="wrong_columns", detail=f"{len(cells)} cells, the header has {len(header)}")
    return CsvRow(lines.first, data, {name: cell for name, cell in zip(header, cells, strict=True) if cell})


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)
