"""Reads articles and sentences; a row that cannot be used becomes a Reject with its reason."""

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from netral.config import ReadSettings
from netral.io.ids import Renamer
from netral.io.paths import COMPRESSIONS, STDIN, expand_inputs, input_format, printable, shown
from netral.io.remote import RemoteFile
from netral.io.streams import Line, read_lines, read_whole
from netral.records import Article, Reject, Sentence

Row = Article | Sentence | Reject
Rename = Callable[[str], str]
_SENTENCE_FIELDS = frozenset({"sentence", "id", "article_id", "sentence_id", "start", "end"})
_ARTICLE_FIELDS = frozenset({"text", "id"})
_PARQUET_ROWS = 1024


def read_inputs(inputs: Sequence[str], settings: ReadSettings, *, gold: bool = False, exclude: Path | None = None) -> Iterator[Row]:
    """Yield every row of the inputs: articles, sentences and rejects.

    Args:
        inputs: Files, folders, globs, or ``-`` alone for JSONL on standard input.
        settings: Bounds on what is read.
        gold: Take the ``labels`` field of a sentence record as its gold labels instead of passing it through.
        exclude: The run's own output, not to be read as input.

    Yields:
        Rows ordered by file path and row, whatever the order of ``inputs``. Every input row comes out exactly once.
        Ids that were seen before in the run get ``~2``, ``~3``… appended, so that sentence ids stay unique.

    Raises:
        NetralError: An input matches nothing or has a format that is not read.
    """
    if list(inputs) == [STDIN]:
        yield from _jsonl(None, STDIN, settings, gold, Renamer(), _no_count)
        return
    yield from read_files(expand_inputs(inputs, exclude), settings, gold=gold)


def read_files(
    paths: Sequence[Path], settings: ReadSettings, *, gold: bool = False, on_bytes: Callable[[int], None] | None = None
) -> Iterator[Row]:
    """Yield every row of these files like :func:`read_inputs`; a file that cannot be opened becomes a reject.

    ``on_bytes`` is told how many bytes of text or JSON lines (after decompression) were read for each row.
    """
    rename = Renamer()
    for path in paths:
        yield from read_file(path, shown(path), settings, rename, gold=gold, on_bytes=on_bytes)


def _no_count(size: int) -> None:
    pass


def read_file(
    path: Path | RemoteFile,
    name: str,
    settings: ReadSettings,
    rename: Rename,
    *,
    gold: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Row]:
    """Yield every row of one file.

    Args:
        path: The file.
        name: Its name in rows and rejects.
        settings: Bounds on what is read.
        rename: Turns the id that a record has, or that was made for it, into the one it gets; asked at most once for each row yielded.
        gold: As for :func:`read_inputs`.
        on_bytes: As for :func:`read_files`.
    """
    kind, count = input_format(path), on_bytes or _no_count
    if kind == ".txt":
        yield _text_file(path, name, settings, rename, count)
    elif kind == ".jsonl":
        yield from _jsonl(path, name, settings, gold, rename, count)
    else:
        yield from _parquet(path, name, settings, gold, rename)


def stem(path: Path | RemoteFile) -> str:
    """Return a file's name without its format and compression suffixes."""
    name = printable(path.name)
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return name.rsplit(".", 1)[0]


def _text_file(path: Path | RemoteFile, name: str, settings: ReadSettings, rename: Rename, count: Callable[[int], None]) -> Row:
    line = read_whole(path, settings.max_record_bytes)
    count(len(line.data))
    text = _decode(line, name)
    if isinstance(text, Reject):
        return text
    text = text.removeprefix("\ufeff")
    problem = _text_problem(text)
    if problem:
        return Reject(name, 1, *problem)
    return Article(name, 1, rename(stem(path)), text)


def _decode(line: Line, name: str) -> str | Reject:
    if line.reason:
        return Reject(name, line.row, line.reason, line.detail)
    try:
        return line.data.decode("utf-8")
    except UnicodeDecodeError as error:
        return Reject(
            name, line.row, "not_utf8", f"byte {error.start} (0x{line.data[error.start]:02x}) is not UTF-8; convert the file to UTF-8"
        )


def _text_problem(text: str) -> tuple[str, str] | None:
    if not text.strip():
        return "empty", "holds no text"
    if "\0" in text:
        return "nul_byte", f"a NUL character at offset {text.index(chr(0))}"
    if not _encodable(text):
        return "broken_unicode", "holds half of a surrogate pair"
    return None


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _jsonl(
    path: Path | RemoteFile | None, name: str, settings: ReadSettings, gold: bool, rename: Rename, count: Callable[[int], None]
) -> Iterator[Row]:
    empty = True
    file_id = stem(path) if path else "stdin"
    for line in read_lines(path, settings.max_record_bytes):
        count(len(line.data))
        if not line.reason and not line.data.strip():
            continue  # a blank line is no row
        empty = False
        text = _decode(line, name)
        yield text if isinstance(text, Reject) else _json_row(text, name, line.row, f"{file_id}#{line.row}", settings, gold, rename)
    if empty:
        yield Reject(name, 0, "empty", "the file holds no row")


def _json_row(text: str, name: str, row: int, made_id: str, settings: ReadSettings, gold: bool, rename: Rename) -> Row:
    try:
        record = json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant)
    except RecursionError:
        return Reject(name, row, "not_json", "nested too deeply")
    except ValueError as error:
        return Reject(name, row, "not_json", str(error))
    if not isinstance(record, dict):
        return Reject(name, row, "not_an_object", f"a JSON object is expected, this is {type(record).__name__}")
    return record_row(_json_values(record), name, row, made_id, settings, gold, rename)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def record_row(record: dict[str, Any], name: str, row: int, made_id: str, settings: ReadSettings, gold: bool, rename: Rename) -> Row:
    """Turn one record into an article or a sentence, or a reject with its reason."""
    kind = "sentence" if "sentence" in record else "text" if "text" in record else ""
    if not kind:
        return Reject(name, row, "missing_field", "neither `text` nor `sentence`; found: " + (", ".join(sorted(record)[:8]) or "nothing"))
    value = record[kind]
    if not isinstance(value, str):
        return Reject(name, row, "wrong_type", f"`{kind}` must be text, this is {_type(value)}", str(record.get("id") or ""))
    shown_id = str(record.get("id") or "")
    problem = _text_problem(value)
    if problem:
        return Reject(name, row, *problem, shown_id)
    for key in ("id", "article_id", "sentence_id"):
        if record.get(key) is not None and (not isinstance(record[key], str | int) or isinstance(record[key], bool)):
            return Reject(name, row, "wrong_type", f"`{key}` must be text or a whole number, this is {_type(record[key])}")
    # The text itself, nearly all of the record, was looked at above.
    if not _encodable(json.dumps({**record, kind: ""}, ensure_ascii=False)):
        return Reject(name, row, "broken_unicode", "a field holds half of a surrogate pair", shown_id)
    if kind == "text":
        return _article(record, name, row, made_id, rename)
    return _sentence(record, name, row, made_id, settings, gold, rename)


def _type(value: Any) -> str:
    return {"NoneType": "null", "list": "a list", "dict": "an object", "bool": "true or false"}.get(type(value).__name__, "a number")


def _article(record: dict[str, Any], name: str, row: int, made_id: str, rename: Rename) -> Row:
    title = record.get("title")
    article_id = rename(str(record["id"]) if record.get("id") not in (None, "") else made_id)
    return Article(name, row, article_id, record["text"], title if isinstance(title, str) else "", _meta(record, _ARTICLE_FIELDS))


def _sentence(record: dict[str, Any], name: str, row: int, made_id: str, settings: ReadSettings, gold: bool, rename: Rename) -> Row:
    text = record["sentence"]
    if len(text) > settings.max_sentence_chars:
        return Reject(name, row, "sentence_too_long", f"{len(text)} characters; the bound is read.max_sentence_chars")
    ids = [str(record[k]) for k in ("sentence_id", "id") if record.get(k) not in (None, "")]
    sentence_id = rename(ids[0] if ids else made_id)
    article_id = str(record["article_id"]) if record.get("article_id") not in (None, "") else sentence_id
    start, end = record.get("start", 0), record.get("end", len(text))
    if not (_is_offset(start) and _is_offset(end) and end - start == len(text)):
        return Reject(
            name, row, "wrong_offsets", f"`start` and `end` must be whole numbers that span the sentence's {len(text)} characters"
        )
    labels: tuple[str, ...] | None = None
    fields = _SENTENCE_FIELDS
    if gold and "labels" in record:
        given = record["labels"]
        if not isinstance(given, list) or not all(isinstance(label, str) for label in given):
            return Reject(name, row, "wrong_type", "`labels` must be a list of label names", sentence_id)
        labels, fields = tuple(given), fields | {"labels"}
    return Sentence(name, row, article_id, sentence_id, start, end, text, _meta(record, fields), labels)


def _is_offset(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _meta(record: dict[str, Any], own: frozenset[str]) -> dict[str, Any]:
    """Collect the fields to pass through; a `meta` object, as netral itself writes it, is not nested again."""
    meta = {key: value for key, value in record.items() if key not in own}
    inner = meta.get("meta")
    if isinstance(inner, dict) and not (inner.keys() & meta.keys()):
        del meta["meta"]
        meta = {**inner, **meta}
    return meta


def _parquet(path: Path | RemoteFile, name: str, settings: ReadSettings, gold: bool, rename: Rename) -> Iterator[Row]:
    row = 0
    try:
        file = pq.ParquetFile(path.open_random() if isinstance(path, RemoteFile) else path)
        names = set(file.schema_arrow.names)
        if not names & {"text", "sentence"}:
            yield Reject(name, 0, "missing_field", "neither a column `text` nor `sentence`; found: " + ", ".join(sorted(names)[:8]))
            return
        if file.metadata.num_rows == 0:
            yield Reject(name, 0, "empty", "the file holds no row")
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
            for record in _records(batch):
                row += 1
                if isinstance(record, dict):
                    yield _parquet_row(record, name, row, f"{stem(path)}#{row}", settings, gold, rename)
                else:
                    yield Reject(name, row, "wrong_type", f"a value cannot be read: {record}")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield Reject(name, row + 1, "truncated_or_corrupt", f"cannot be read as Parquet from here on: {error}")


def _records(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | Exception]:
    """Yield the rows of a batch; one with a value that Python cannot hold (a date in the year 12000) as its error."""
    for i in range(batch.num_rows):
        try:
            yield from batch.slice(i, 1).to_pylist()
        except (ValueError, OverflowError) as error:
            yield error


def _parquet_row(record: dict[str, Any], name: str, row: int, made_id: str, settings: ReadSettings, gold: bool, rename: Rename) -> Row:
    # A column that is null in this row counts as absent, so that one file may hold articles and sentences.
    record = {key: value for key, value in record.items() if value is not None or key not in ("text", "sentence")}
    if isinstance(record.get("meta"), str):
        with contextlib.suppress(ValueError, RecursionError):
            record["meta"] = json.loads(record["meta"])
    value = record.get("sentence", record.get("text", ""))
    if isinstance(value, str) and len(value) * 4 > settings.max_record_bytes and len(value.encode()) > settings.max_record_bytes:
        return Reject(name, row, "record_too_large", f"more than {settings.max_record_bytes} bytes; the bound is read.max_record_bytes")
    return record_row(_json_values(record), name, row, made_id, settings, gold, rename)


def _json_values(value: Any) -> Any:
    """Give any value the form it has in JSON: dates as text, infinite and undefined numbers as null."""
    if isinstance(value, dict):
        return {str(key): _json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_values(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
