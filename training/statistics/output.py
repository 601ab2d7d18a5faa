"""Reads what `netral label` wrote."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from netral.errors import NetralError

_BATCH = 4096


def output_rows(out: Path, columns: tuple[str, ...] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of an output of `netral label`, ``meta`` as an object: all columns, or those named.

    Raises:
        NetralError: There is no such output, or a row lacks a column.
    """
    if not out.exists():
        raise NetralError(f"{out}: no such output", "name what --out of `netral label` named")
    parts = sorted(out.glob("part-*.parquet")) if out.is_dir() else [out]
    if not parts:
        raise NetralError(f"{out}: holds no part-*.parquet", "name what --out of `netral label` named")
    for part in parts:
        try:
            rows = _parquet(part, columns) if part.suffix == ".parquet" else _lines(part)
            for number, row in enumerate(rows, 1):
                missing = [name for name in columns or ("sentence_id", "scores") if name not in row]
                if missing:
                    raise NetralError(f"{part}:{number}: no column {missing[0]}", "pass an output of `netral label`")
                if isinstance(row.get("meta"), str):
                    row["meta"] = json.loads(row["meta"])
                yield row
        except (ValueError, TypeError, pa.ArrowException) as error:
            raise NetralError(f"{part}: not an output of `netral label` ({error})", "label the crawl again") from None


def _parquet(path: Path, columns: tuple[str, ...] | None) -> Iterator[dict[str, Any]]:
    file = pq.ParquetFile(path)
    known = [name for name in columns or file.schema_arrow.names if name in file.schema_arrow.names]
    for batch in file.iter_batches(batch_size=_BATCH, columns=known):
        yield from batch.to_pylist()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise TypeError("a line that is no object")
            yield row
