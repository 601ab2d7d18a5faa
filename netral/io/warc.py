"""Reads the pages of WARC files; a damaged record costs itself, not the records behind it.

warcio parses the headers. Its own iterator stops at damage, and says nothing of a last record that was cut off, so finding the
records, one gzip member or one stretch of the file each, is done here. Needs the extra `crawl`.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from netral.errors import NetralError
from netral.io.remote import RemoteFile

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_CHUNK = 1 << 16
# Bytes of headers in one record; longer ones are no headers.
_MAX_HEADERS = 1 << 18
# A compressed record that runs on further than this is not unpacked to find the next (as for lines, netral/io/streams.py).
_SKIP_LIMIT = 1 << 30
_GZIP_MAGIC = b"\x1f\x8b\x08"
_RECORD_MAGIC = b"WARC/"
# The same with its line end; not always at the start of a line, where a record before it was cut off.
_BEGINS = re.compile(rb"WARC/[01]\.\d{1,2}\r?\n")
# No such mark is longer.
_MAGIC_BYTES = 16
# zlib's code for a gzip header of any window size; 47 takes a zlib header too.
_GZIP, _GZIP_OR_ZLIB = 31, 47
_CHUNK_SIZE = re.compile(rb"\s*([0-9a-fA-F]{1,8})[^\r\n]{0,200}\r?\n")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WarcPage:
    """One record: a page, or why it cannot be read, or why it is no page.

    Attributes:
        row: The number of the record in the file.
        offset: Where it begins in the file, in bytes as stored: of its gzip member, where it is compressed.
        url: The address that was fetched.
        crawled_at: When, as the crawler wrote it.
        payload: The body as stored, for its digest.
        page: The body without the compression it was sent in.
        charset: The character set that the server declared.
        skipped: Why the record is no page: its type, media type or HTTP status.
        reason: A short stable name.
        detail: What exactly is wrong, for a person.
    """

    row: int
    offset: int
    url: str = ""
    crawled_at: str = ""
    payload: bytes = b""
    page: bytes = b""
    charset: str = ""
    skipped: str = ""
    reason: str = ""
    detail: str = ""


class _Damage(Exception):
    """What stands here is no whole record; ``args``: reason and detail."""


def read_warc(path: Path | RemoteFile, limit: int) -> Iterator[WarcPage]:
    """Yield every record of a WARC file in order, in memory bounded by a few times ``limit`` bytes.

    Raises:
        NetralError: The extra `crawl` is not installed.
        OSError: The file cannot be read.
    """
    parsers = _parsers()
    with path.open() if isinstance(path, RemoteFile) else path.open("rb") as file:
        zipped = file.read(2) == _GZIP_MAGIC[:2]
        row, offset = 0, 0
        while offset >= 0:
            source = _Source(file, offset, zipped)
            try:
                while source.at_record():
                    offset = source.offset()
                    page = _record(source, parsers, WarcPage(row + 1, offset), limit)
                    row += 1
                    yield page
                offset = source.next_member()
            except _Damage as damage:
                row += 1
                yield WarcPage(row, offset, reason=damage.args[0], detail=damage.args[1])
                offset = _next_record(file, offset + 1, zipped)


def _parsers() -> tuple[Any, Any]:
    try:
        from warcio.statusandheaders import StatusAndHeadersParser
    except ImportError:
        raise NetralError("reading WARC files needs warcio", "pip install 'netral[crawl]'") from None
    return StatusAndHeadersParser([_RECORD_MAGIC.decode()]), StatusAndHeadersParser(["HTTP/"], verify=False)


class _Source:
    """Reads records one after the other, from an offset to the end of the file or of the gzip member that begins there."""

    def __init__(self, file: BinaryIO, offset: int, zipped: bool) -> None:
        file.seek(offset)
        self._file, self._offset = file, offset
        self.zipped = zipped
        self._decoder = zlib.decompressobj(_GZIP) if zipped else None
        self._data, self._at = b"", 0

    def offset(self) -> int:
        """Return where the reader stands in the file; of a gzip member, where it begins."""
        return self._offset if self._decoder else self._file.tell() - len(self._data) + self._at

    def ahead(self, size: int) -> bytes:
        """Return the next bytes without passing them, fewer than ``size`` only at the end."""
        while len(self._data) - self._at < size and (more := self._more()):
            self._data, self._at = self._data[self._at :] + more, 0
        return self._data[self._at : self._at + size]

    def _more(self) -> bytes:
        data = b"" if self._decoder else self._file.read(_CHUNK)
        while self._decoder and not data and not self._decoder.eof:
            stored = self._decoder.unconsumed_tail or self._file.read(_CHUNK)
            if not stored:
                raise _Damage("truncated_or_corrupt", "the file ends within this record")
            try:
                data = self._decoder.decompress(stored, _CHUNK)
            except zlib.error as error:
                raise _Damage("truncated_or_corrupt", f"cannot be decompressed: {error}") from None
        return data

    def read(self, size: int) -> bytes:
        data = self.ahead(min(size, _CHUNK))
        self._at += len(data)
        return data

    def readline(self, size: int) -> bytes:
        # Lines are headers: their length is bounded by the caller.
        known = 256
        while (end := (data := self.ahead(min(known, size))).find(b"\n")) < 0 and len(data) == known < size:
            known *= 2
        return self.read_exactly(end + 1 if end >= 0 else len(data))

    def read_exactly(self, size: int) -> bytes:
        data = self.ahead(size)
        self._at += len(data)
        return data

    def skip(self, size: int) -> int:
        if self._decoder:
            return len(self.read(size))
        begin = self.offset()
        end = min(begin + size, self._file.seek(0, 2))
        self._file.seek(end)
        self._data, self._at = b"", 0
        return end - begin

    def at_record(self) -> bool:
        """Pass the empty lines behind a record; tell whether another one follows."""
        while (ahead := self.ahead(1)) in (b"\r", b"\n"):
            self._at += 1
        return bool(ahead)

    def next_member(self) -> int:
        """Return where the next gzip member begins, or -1 at the end of the file."""
        if self._decoder is None:
            return -1
        rest = len(self._decoder.unused_data)
        offset = self._file.tell() - rest
        return offset if rest or self._file.read(1) else -1


class _Part:
    """The next bytes of a stream, no more than so many."""

    def __init__(self, stream: Any, size: int) -> None:
        self._stream, self.left = stream, size
        self._lines = 0

    def read(self, size: int) -> bytes:
        return self._less(self._stream.read(min(size, self.left)) if self.left > 0 else b"")

    def skip(self) -> int:
        """Pass over some bytes, all of them where that takes no reading; return how many."""
        passed = int(self._stream.skip(self.left))
        self.left -= passed
        return passed

    def readline(self, size: int = 1 << 60) -> bytes:
        line = self._less(self._stream.readline(min(size, self.left)) if self.left > 0 else b"")
        if self._lines and _BEGINS.search(line + b"\n"):
            raise _Damage("truncated_or_corrupt", "another record begins within the headers of this one")
        self._lines += 1
        return line

    def _less(self, data: bytes) -> bytes:
        self.left -= len(data)
        return data


def _record(source: _Source, parsers: tuple[Any, Any], page: WarcPage, limit: int) -> WarcPage:
    if source.ahead(len(_RECORD_MAGIC)) != _RECORD_MAGIC:
        raise _Damage("truncated_or_corrupt", "no WARC record begins here")
    headers = _headers(parsers[0], source)
    length = headers.get("content-length", "")
    if not source.ahead(1) and length != "0":
        raise _Damage("truncated_or_corrupt", "the file ends within the headers of this record")
    if not length.isdecimal() or len(length) > 18:
        raise _Damage("wrong_record_length", f"Content-Length is {length[:40]!r}")
    block = _Part(source, int(length))
    url = headers.get("warc-target-uri", "").strip("<>")
    page = replace(page, url=url, crawled_at=headers.get("warc-date", ""))
    found = _page(headers, block, parsers[1], page, limit)
    _pass_over(block, page, source.zipped)
    # Two line ends stand behind a record; one that has none, or more, is forgiven if another record follows.
    behind = source.ahead(16)
    if not behind.startswith(b"\r\n\r\n") and not (behind.lstrip(b"\r\n") or _RECORD_MAGIC).startswith(_RECORD_MAGIC):
        raise _Damage("wrong_record_length", f"Content-Length is {length}, but the record does not end there")
    return found


def _headers(parser: Any, stream: Any) -> dict[str, str]:
    """Read header lines; names in lower case, the status line under ``""``."""
    part = _Part(stream, _MAX_HEADERS)
    try:
        parsed = parser.parse(part)
    except EOFError:
        return {}
    if part.left <= 0:
        raise _Damage("truncated_or_corrupt", f"more than {_MAX_HEADERS} bytes of headers")
    # Of a header that stands twice the first counts.
    return {"": parsed.statusline} | {name.lower(): value.strip() for name, value in reversed(parsed.headers)}


def _pass_over(block: _Part, page: WarcPage, zipped: bool) -> None:
    if zipped and block.left > _SKIP_LIMIT:
        raise _Damage("record_too_large", f"{block.left} bytes and more; the next record is looked for")
    while block.left:
        if not block.skip():
            raise _Damage("truncated_or_corrupt", f"the record at byte {page.offset} ends {block.left} bytes before its Content-Length")


def _page(headers: dict[str, str], block: _Part, parser: Any, page: WarcPage, limit: int) -> WarcPage:
    kind, media = headers.get("warc-type", ""), headers.get("content-type", "")
    http: dict[str, str] = {}
    if kind == "response" and media.lower().startswith("application/http"):
        http = _headers(parser, block)
        status = http.get("", "").partition(" ")[0]
        media = http.get("content-type", "")
        if status != "200":
            return replace(page, skipped=f"status {status[:3]}" if status[:3].isdecimal() else "no HTTP status")
    elif kind not in ("resource", "response"):
        return replace(page, skipped=kind[:40] or "no type")
    # Servers that declare no type send pages for the most part; what is none has no main text.
    if media and media.partition(";")[0].strip().lower() not in _HTML_TYPES:
        return replace(page, skipped=media.partition(";")[0].strip().lower()[:80])
    too_large = replace(page, reason="record_too_large", detail=f"more than {limit} bytes; the bound is read.max_record_bytes")
    if block.left > limit:
        return too_large
    expected = block.left
    payload = b"".join(iter(lambda: block.read(_CHUNK), b""))
    if len(payload) < expected:
        raise _Damage("truncated_or_corrupt", f"the record ends {block.left} bytes before its Content-Length")
    try:
        body = _decoded(payload, http, limit)
    except (ValueError, zlib.error, OSError) as error:
        return replace(page, reason="truncated_or_corrupt", detail=f"the page cannot be decompressed: {error}")
    if len(body) > limit:
        return too_large
    charset = _CHARSET.search(media)
    return replace(page, payload=payload, page=body, charset=charset.group(1) if charset else "")


def _decoded(body: bytes, http: dict[str, str], limit: int) -> bytes:
    """Take transfer and content coding off, as far as they are there: many crawlers store the plain page under the old headers."""
    if "chunked" in http.get("transfer-encoding", "").lower() and _CHUNK_SIZE.match(body):
        body = _unchunked(body)
    for coding in reversed(http.get("content-encoding", "").lower().split(",")[:3]):
        if coding.strip() in ("gzip", "x-gzip", "deflate") and body[:1] in (b"\x1f", b"\x78"):
            body = zlib.decompressobj(_GZIP_OR_ZLIB).decompress(body, limit + 1)
        elif coding.strip() == "br" and b"<html" not in body[:2000].lower():
            body = _unbrotli(body, limit)
    return body


def _unchunked(body: bytes) -> bytes:
    parts, position = [], 0
    while size := _CHUNK_SIZE.match(body, position):
        begin = size.end()
        position = begin + int(size.group(1), 16)
        parts.append(body[begin:position])
        if position == begin:
            break
    return b"".join(parts)


def _unbrotli(body: bytes, limit: int) -> bytes:
    try:
        import brotli
    except ImportError:
        raise NetralError("reading Brotli pages needs brotli", "pip install 'netral[crawl]'") from None
    try:
        decoder = brotli.Decompressor()
        found = bytes(decoder.process(body, output_buffer_limit=limit + 1))
        while not decoder.is_finished() and len(found) <= limit and not decoder.can_accept_more_data():
            found += decoder.process(b"", output_buffer_limit=limit + 1)
    except brotli.error as error:
        raise ValueError(str(error)) from None
    return found


def _next_record(file: BinaryIO, begin: int, zipped: bool) -> int:
    """Return where the next record begins, or -1."""
    magic = re.compile(re.escape(_GZIP_MAGIC)) if zipped else _BEGINS
    while True:
        file.seek(begin)
        data = file.read(_CHUNK * 16)
        for found in magic.finditer(data):
            if not zipped or _begins_record(file, begin + found.start()):
                return begin + found.start()
        if len(data) <= _MAGIC_BYTES:
            return -1
        begin += len(data) - _MAGIC_BYTES


def _begins_record(file: BinaryIO, offset: int) -> bool:
    """Tell a gzip member that holds a record from three bytes that look like one."""
    file.seek(offset)
    try:
        return zlib.decompressobj(_GZIP).decompress(file.read(1024), len(_RECORD_MAGIC)) == _RECORD_MAGIC
    except zlib.error:
        return False
