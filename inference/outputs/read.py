"""Reads what `netral label` and `netral split` wrote back: row by row from JSONL, Parquet or a folder of parts."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from netral.errors import NetralError
from netral.io.streams import read_lines

NEXT = "pass what `netral label --out` wrote (docs/output.md); if an older version did, label the crawl again"
# Rows of Parquet that are objects at a time: about 10 MB of news.
_BATCH = 4096
# A row holds an article's other fields, and an article may have 10 MB (read.max_record_bytes); written as JSON it grows.
_MAX_LINE = 100_000_000
_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    **dict.fromkeys(("article_id", "sentence_id", "sentence", "model"), (str, "text")),
    **dict.fromkeys(("start", "end"), (int, "whole number")),
    **dict.fromkeys(("labels", "citations"), (list, "list")),
    **dict.fromkeys(("scores", "meta"), (dict, "object")),
    "provenance": ((dict, NoneType), "object"),
}


def output_rows(
    out: str | Path, needs: Sequence[str], also: Sequence[str] | None = (), *, articles: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of an output in order, each with its file and row number for messages; memory does not grow with the output.

    Args:
        out: OUT.jsonl (also compressed), OUT.parquet, or a folder of parts.
        needs: Columns that every row must have, of the type that docs/output.md says.
        also: Columns to read of Parquet where there are any; None reads all. Lines of JSON come whole.
        articles: Take rows of `--level article` as well as rows of sentences.

    Yields:
        ``file:row`` and the row, its ``meta`` as an object. An output without a row is none to complain of here.

    Raises:
        NetralError: There is no such output, or a row was not written by netral or is of an article; the message names it.
    """
    path = Path(out)
    if not path.exists():
        raise NetralError(f"{out}: no such output", NEXT)
    parts = part_files(path) if path.is_dir() else [path]
    if not parts:
        raise NetralError(f"{out}: a folder without part-*.parquet", NEXT)
    checks = [(name, *_TYPES[name]) for name in needs]
    for part in parts:
        is_parquet = part.suffix.lower() == ".parquet"
        rows = _parquet(part, needs, also, articles) if is_parquet else _lines(part, articles)
        for number, row in rows:
            where = f"{part}:{number}"
            if isinstance(row.get("meta"), str):
                row["meta"] = _parsed(row["meta"])
            for name, kind, shown in checks:
                if not isinstance(row.get(name, ...), kind):
                    raise not_a_row(where, f"{name} is no {shown}" if name in row else f"{name} is missing")
            yield where, row


def part_files(folder: Path) -> list[Path]:
    """Return the parts of an output folder in order; none if a job wrote no rows there."""
    return sorted(folder.glob("part-*.parquet"))


def scores_of(where: str, row: dict[str, Any], labels: Sequence[str]) -> list[float]:
    """Return a row's scores in the order of the labels.

    Raises:
        NetralError: The row has no score for one of them.
    """
    try:
        return [float(row["scores"][label]) for label in labels]
    except (KeyError, TypeError, ValueError):
        raise NetralError(f"{where}: no score for {', '.join(labels)}", "label the crawl with this model") from None


def not_a_row(where: str, detail: object) -> NetralError:
    """Return the error of a row that is not as netral writes it."""
    return NetralError(f"{where}: not a row of `netral label` ({detail})", NEXT)


def _of_articles(path: Path) -> NetralError:
    return NetralError(f"{path}: holds articles, and sentences are needed", "label with --level sentence")


def _parsed(meta: str) -> Any:
    """Return the object that Parquet holds as text; what is none is left for the check that names the row."""
    try:
        return json.loads(meta)
    except (ValueError, RecursionError):
        return meta


def _parquet(path: Path, needs: Sequence[str], also: Sequence[str] | None, articles: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            if "strongest" in there and not articles:
                raise _of_articles(path)
            if missing := [name for name in needs if name not in there]:
                raise not_a_row(f"{path}:1", f"{missing[0]} is missing")
            columns = None if also is None else [name for name in there if name in (*needs, *also)]
            number = 0
            for batch in file.iter_batches(_BATCH, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        raise NetralError(f"{path}: cannot be read as Parquet ({error})", NEXT) from None


def _lines(path: Path, articles: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    for line in read_lines(path, _MAX_LINE):
        if not line.reason and not line.data.strip():
            continue
        try:
            row = None if line.reason else json.loads(line.data)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise not_a_row(f"{path}:{line.row}", line.reason.replace("_", " ") or "no JSON object")
        if "strongest" in row and not articles:
            raise _of_articles(path)
        yield line.row, row
