"""Reads articles and sentences; a row that cannot be used becomes a Reject with its reason."""

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from netral.config import ReadSettings
from netral.io.columns import ALIASES, ReadReport, holds_text, map_columns
from netral.io.csv_rows import read_csv
from netral.io.html import read_page
from netral.io.ids import Renamer
from netral.io.paths import COMPRESSIONS, STDIN, expand_inputs, input_format, printable, shown
from netral.io.remote import RemoteFile
from netral.io.streams import Line, read_lines, read_whole
from netral.io.warc import read_warc
from netral.language import foreign_language
from netral.records import CITATION_FIELDS, Article, Provenance, Reject, Sentence

Row = Article | Sentence | Reject
Rename = Callable[[str], str]
_SENTENCE_FIELDS = frozenset({"sentence", "id", "article_id", "sentence_id", "start", "end", "provenance", "citations"})
_ARTICLE_FIELDS = frozenset({"text", "id"})
_PARQUET_ROWS = 1024


def read_inputs(
    inputs: Sequence[str], settings: ReadSettings, *, gold: bool = False, exclude: Path | None = None, report: ReadReport | None = None
) -> Iterator[Row]:
    """Yield every row of the inputs: articles, sentences and rejects.

    Args:
        inputs: Files, folders, globs, or ``-`` alone for JSONL on standard input.
        settings: Bounds on what is read.
        gold: Take the ``labels`` field of a sentence record as its gold labels instead of passing it through.
        exclude: The run's own output, not to be read as input.
        report: Filled while the rows are taken: which columns stood for which fields, and the like.

    Yields:
        Rows ordered by file path and row, whatever the order of ``inputs``. Every input row comes out exactly once.
        Ids that were seen before in the run get ``~2``, ``~3``… appended, so that sentence ids stay unique.

    Raises:
        NetralError: An input matches nothing or has a format that is not read.
    """
    report = report if report is not None else ReadReport()
    if list(inputs) == [STDIN]:
        yield from map(_language_checked(settings, report), _jsonl(None, STDIN, settings, gold, Renamer(), report))
        return
    yield from read_files(expand_inputs(inputs, exclude), settings, gold=gold, report=report)


def read_files(paths: Sequence[Path], settings: ReadSettings, *, gold: bool = False, report: ReadReport | None = None) -> Iterator[Row]:
    """Yield every row of these files like :func:`read_inputs`; a file that cannot be opened becomes a reject."""
    rename = Renamer()
    for path in paths:
        yield from read_file(path, shown(path), settings, gold=gold, rename=rename, report=report)


def read_file(
    path: Path | RemoteFile,
    name: str,
    settings: ReadSettings,
    rename: Rename | None = None,
    *,
    gold: bool = False,
    report: ReadReport | None = None,
) -> Iterator[Row]:
    """Yield every row of one file, which messages and provenance call ``name``."""
    report = report if report is not None else ReadReport()
    yield from map(_language_checked(settings, report), _rows(path, name, settings, gold, rename or Renamer(), report))


def _rows(path: Path | RemoteFile, name: str, settings: ReadSettings, gold: bool, rename: Rename, report: ReadReport) -> Iterator[Row]:
    kind = input_format(path)
    if kind == ".txt":
        yield _text_file(path, name, settings, rename, report)
    elif kind == ".jsonl":
        yield from _jsonl(path, name, settings, gold, rename, report)
    elif kind in (".csv", ".tsv"):
        yield from _csv(path, name, settings, gold, rename, report)
    elif kind == ".warc":
        yield from _warc(path, name, settings, rename, report)
    elif kind == ".parquet":
        yield from _parquet(path, name, settings, gold, rename, report)
    else:
        yield _page_file(path, name, settings, rename, report)


def _language_checked(settings: ReadSettings, report: ReadReport) -> Callable[[Row], Row]:
    """Return a check that turns an article in another language into a reject."""

    def check(row: Row) -> Row:
        language = foreign_language(row.text) if isinstance(row, Article) and settings.language == "id" else None
        if language is None or not isinstance(row, Article):
            return row
        report.languages[language] += 1
        what = "another language" if language == "other" else language
        return Reject(row.file, row.row, "not_indonesian", f"the article is in {what}; read.language: any takes it all the same", row.id)

    return check


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _first_text(meta: dict[str, Any], field: str) -> str | None:
    return next((value for name in ALIASES[field] if isinstance(value := meta.get(name), str) and value), None)


def _with_provenance(row: Row, data: bytes) -> Row:
    """Say where a row comes from; a sentence that netral cut before keeps what it says of its article."""
    if isinstance(row, Reject) or row.provenance:
        return row
    url, crawled_at = _first_text(row.meta, "url"), _first_text(row.meta, "crawled_at")
    return replace(row, provenance=Provenance(row.file, row.row, _sha256(data), None, url, crawled_at))


def stem(path: Path | RemoteFile) -> str:
    """Return a file's name without its format and compression suffixes."""
    name = printable(path.name)
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return name.rsplit(".", 1)[0]


def _text_file(path: Path | RemoteFile, name: str, settings: ReadSettings, rename: Rename, report: ReadReport) -> Row:
    line = read_whole(path, settings.max_record_bytes)
    report.on_bytes(len(line.data))
    text = _decode(line, name)
    if isinstance(text, Reject):
        return text
    text = text.removeprefix("\ufeff")
    problem = _text_problem(text)
    if problem:
        return Reject(name, 1, *problem)
    return _with_provenance(Article(name, 1, rename(stem(path)), text), line.data)


def _page_file(path: Path | RemoteFile, name: str, settings: ReadSettings, rename: Rename, report: ReadReport) -> Row:
    line = read_whole(path, settings.max_record_bytes)
    if line.reason:
        return Reject(name, 1, line.reason, line.detail)
    page = read_page(line.data)
    if page.reason:
        return Reject(name, 1, page.reason, page.detail)
    report.body_source[page.meta["body_source"]] += 1
    return _with_provenance(Article(name, 1, rename(stem(path)), page.text, page.title, page.meta), line.data)


def _warc(path: Path | RemoteFile, name: str, settings: ReadSettings, rename: Rename, report: ReadReport) -> Iterator[Row]:
    row = 0
    try:
        for record in read_warc(path, settings.max_record_bytes):
            row = record.row
            if record.skipped:
                report.skipped[record.skipped] += 1
                continue
            if record.reason:
                yield Reject(name, row, record.reason, record.detail, record.url)
                continue
            page = read_page(record.page, record.charset, record.url)
            if page.reason:
                yield Reject(name, row, page.reason, page.detail, record.url)
                continue
            report.body_source[page.meta["body_source"]] += 1
            source = Provenance(name, row, _sha256(record.payload), record.offset, record.url or None, record.crawled_at or None)
            yield Article(name, row, rename(f"{stem(path)}#{row}"), page.text, page.title, page.meta, source)
    except OSError as error:
        yield Reject(name, row + 1, "unreadable", error.strerror or str(error))
    if row == 0:
        yield Reject(name, 0, "empty", "the file holds no record")


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
    path: Path | RemoteFile | None, name: str, settings: ReadSettings, gold: bool, rename: Rename, report: ReadReport
) -> Iterator[Row]:
    empty = True
    file_id = stem(path) if path else "stdin"
    for line in read_lines(path, settings.max_record_bytes):
        report.on_bytes(len(line.data))
        if not line.reason and not line.data.strip():
            continue  # a blank line is no row
        empty = False
        text = _decode(line, name)
        if isinstance(text, Reject):
            yield text
            continue
        row = _json_row(text, name, line.row, f"{file_id}#{line.row}", settings, gold, rename, report)
        yield _with_provenance(row, line.data.rstrip(b"\r\n"))
    if empty:
        yield Reject(name, 0, "empty", "the file holds no row")


def _json_row(text: str, name: str, row: int, made_id: str, settings: ReadSettings, gold: bool, rename: Rename, report: ReadReport) -> Row:
    try:
        record = json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant)
    except RecursionError:
        return Reject(name, row, "not_json", "nested too deeply")
    except ValueError as error:
        return Reject(name, row, "not_json", str(error))
    if not isinstance(record, dict):
        return Reject(name, row, "not_an_object", f"a JSON object is expected, this is {type(record).__name__}")
    return record_row(_mapped(_json_values(record), settings, report), name, row, made_id, settings, gold, rename)


def _mapped(record: dict[str, Any], settings: ReadSettings, report: ReadReport, *, by_name: bool = False) -> dict[str, Any]:
    mapped, columns = map_columns(record, settings.columns, by_name=by_name)
    if "text" in mapped or "sentence" in mapped:
        report.columns.update(columns.items())
    return mapped


def _csv(path: Path | RemoteFile, name: str, settings: ReadSettings, gold: bool, rename: Rename, report: ReadReport) -> Iterator[Row]:
    rows = read_csv(path, settings.max_record_bytes, settings.header, tabs=input_format(path) == ".tsv")
    header = next(rows, None)
    if header is None or header.reason:
        yield Reject(name, header.row, header.reason, header.detail) if header else Reject(name, 0, "empty", "the file holds no row")
        return
    if not holds_text(list(header.cells), settings.columns):
        yield Reject(name, header.row, "missing_field", _no_text_in(header.cells))
        return
    empty = True
    for row in rows:
        empty = False
        if row.reason:
            yield Reject(name, row.row, row.reason, row.detail)
            continue
        record: dict[str, Any] = _mapped(row.cells, settings, report, by_name=True)
        for key in ("start", "end"):
            if str(record.get(key, "")).isdecimal():
                record[key] = int(record[key][:20])
        found = record_row(record, name, row.row, f"{stem(path)}#{row.row}", settings, gold, rename)
        yield _with_provenance(found, row.data)
    if empty:
        yield Reject(name, 0, "empty", "the file holds no row but the header")


def _no_text_in(names: Sequence[str] | dict[str, Any]) -> str:
    return f"no column `text` or `sentence`, nor one known to hold text (set read.columns); found: {', '.join(sorted(names)[:8])}"


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
    provenance, citations = given_provenance(record), _given_citations(record)
    return Sentence(name, row, article_id, sentence_id, start, end, text, _meta(record, fields), labels, provenance, citations)


def _given_citations(record: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Take over the citations that an earlier run of netral found in the whole article; anything else of that name is left out."""
    given = record.get("citations")
    if not isinstance(given, list) or not all(isinstance(each, dict) and each.keys() == set(CITATION_FIELDS) for each in given):
        return ()
    return tuple({name: each[name] for name in CITATION_FIELDS} for each in given)


def given_provenance(record: dict[str, Any]) -> Provenance | None:
    """Return what an earlier run of netral said of a sentence, or None if the field is absent or not of netral's making."""
    given = record.get("provenance")
    if not isinstance(given, dict) or given.keys() != set(Provenance.__slots__):
        return None
    whole = (given["row"],) if given["offset"] is None else (given["row"], given["offset"])
    texts = [given[name] for name in ("file", "sha256")] + [given[name] or "" for name in ("url", "crawled_at")]
    return Provenance(**given) if all(map(_is_offset, whole)) and all(isinstance(text, str) for text in texts) else None


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


def _parquet(path: Path | RemoteFile, name: str, settings: ReadSettings, gold: bool, rename: Rename, report: ReadReport) -> Iterator[Row]:
    row = 0
    try:
        file = pq.ParquetFile(path.open_random() if isinstance(path, RemoteFile) else path)
        if not holds_text(file.schema_arrow.names, settings.columns):
            yield Reject(name, 0, "missing_field", _no_text_in(file.schema_arrow.names))
            return
        if file.metadata.num_rows == 0:
            yield Reject(name, 0, "empty", "the file holds no row")
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
            for record in _records(batch):
                row += 1
                if isinstance(record, dict):
                    yield _parquet_row(record, name, row, f"{stem(path)}#{row}", settings, gold, rename, report)
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


def _parquet_row(
    record: dict[str, Any], name: str, row: int, made_id: str, settings: ReadSettings, gold: bool, rename: Rename, report: ReadReport
) -> Row:
    # A column that is null in this row counts as absent, so that one file may hold articles and sentences.
    record = {key: value for key, value in record.items() if value is not None or key not in ("text", "sentence")}
    if isinstance(record.get("meta"), str):
        with contextlib.suppress(ValueError, RecursionError):
            record["meta"] = json.loads(record["meta"])
    values = _json_values(record)
    record = _mapped(values, settings, report)
    value = record.get("sentence", record.get("text", ""))
    if isinstance(value, str) and len(value) * 4 > settings.max_record_bytes and len(value.encode()) > settings.max_record_bytes:
        return Reject(name, row, "record_too_large", f"more than {settings.max_record_bytes} bytes; the bound is read.max_record_bytes")
    # Parquet has no bytes of a row: the digest is of the row as one line of JSON.
    data = json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return _with_provenance(record_row(record, name, row, made_id, settings, gold, rename), data)


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
