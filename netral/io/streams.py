"""Opens plain and compressed files and reads their lines within a bound."""

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import pyarrow

from netral.io.remote import RemoteFile

_CHUNK = 1 << 20
# Arrow gives nothing of a read that meets the end of a cut file: small reads lose little.
_ZSTD_READ = 1 << 14
# One record that runs on further than this is not looked for the end of: a decompression bomb ends its file here.
_SKIP_LIMIT = 1 << 30
_DECODE_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)


class Line(NamedTuple):
    """One line of a file, or the reason why there is none."""

    row: int
    data: bytes = b""
    reason: str = ""
    detail: str = ""


def open_bytes(path: Path | RemoteFile | None) -> BinaryIO:
    """Open a file for reading, decompressed by its suffix; None is standard input."""
    if path is None:
        return sys.stdin.buffer
    suffix = path.suffix.lower()
    source = path.open() if isinstance(path, RemoteFile) else path
    if suffix == ".gz":
        return cast(BinaryIO, gzip.open(source, "rb"))
    if suffix == ".xz":
        return cast(BinaryIO, lzma.open(source, "rb"))
    if suffix == ".zst":
        # Arrow's reader, unlike others, reports a file that ends in the middle of a frame.
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, pyarrow.input_stream(source, compression="zstd")), _ZSTD_READ))
    return source.open("rb") if isinstance(source, Path) else source


def read_whole(path: Path | RemoteFile, limit: int) -> Line:
    """Read a whole file of at most ``limit`` bytes (after decompression) as one row."""
    try:
        with open_bytes(path) as stream:
            data = stream.read(limit + 1)
    except _DECODE_ERRORS as error:
        return Line(1, reason="truncated_or_corrupt", detail=f"cannot be decompressed: {error}")
    except OSError as error:
        return Line(1, reason=_os_reason(error), detail=error.strerror or str(error))
    if len(data) > limit:
        return Line(1, reason="record_too_large", detail=f"more than {limit} bytes; the bound is read.max_record_bytes")
    return Line(1, data)


def read_lines(path: Path | RemoteFile | None, limit: int) -> Iterator[Line]:
    """Yield the lines of a file, each with its row; one longer than ``limit`` bytes becomes a reason.

    Memory stays within ``limit`` whatever the file holds. What cannot be decompressed ends the file with a reason;
    the lines before it are kept.
    """
    row = 0
    try:
        with open_bytes(path) as stream:
            while True:
                row += 1
                data = stream.readline(limit + 1)
                if not data:
                    break
                if len(data) > limit and not data.endswith(b"\n"):
                    ended = _skip_line(stream)
                    yield Line(row, reason="record_too_large", detail=f"more than {limit} bytes; the bound is read.max_record_bytes")
                    if not ended:
                        yield Line(row + 1, reason="record_too_large", detail="a line without an end; the rest of the file is left out")
                        return
                    continue
                yield Line(row, data)
    except _DECODE_ERRORS as error:
        yield Line(row, reason="truncated_or_corrupt", detail=f"cannot be decompressed from here on: {error}")
    except OSError as error:
        yield Line(row, reason=_os_reason(error), detail=error.strerror or str(error))


def _skip_line(stream: BinaryIO) -> bool:
    skipped = 0
    while skipped < _SKIP_LIMIT:
        data = stream.readline(_CHUNK)
        if not data or data.endswith(b"\n"):
            return True
        skipped += len(data)
    return False


def _os_reason(error: OSError) -> str:
    # Arrow reports corrupt zstd data as an OSError without an error number.
    return "unreadable" if error.errno else "truncated_or_corrupt"
