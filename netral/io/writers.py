"""Writes labelled sentences as JSONL or Parquet, byte for byte the same for the same rows."""

import io
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from netral.io.paths import STDIN
from netral.records import Prediction, Reject, Sentence

# Raise it when a column is added, removed or changes its meaning; docs/output.md describes the columns.
OUTPUT_SCHEMA = 2
# What a row of the output is.
SENTENCE, ARTICLE = LEVELS = ("sentence", "article")
_ROW_GROUP = 10_000
# json.dumps with these settings would make a new encoder for every row: a fifth more time for a row with labels, a third
# for one of `netral split`.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def output_row(sentence: Sentence, prediction: Prediction, model: str) -> dict[str, Any]:
    """Build one row of the output, with the columns of docs/output.md in order."""
    return {
        "article_id": sentence.article_id,
        "sentence_id": sentence.sentence_id,
        "start": sentence.start,
        "end": sentence.end,
        "sentence": sentence.text,
        "labels": list(prediction.labels),
        "scores": prediction.scores,
        "model": model,
        "truncated": prediction.truncated,
        "meta": sentence.meta,
        "provenance": provenance_row(sentence),
        "citations": list(sentence.citations),
    }


def split_row(sentence: Sentence) -> dict[str, Any]:
    """Build one row of `netral split`: the output row without the model's columns."""
    return {
        "article_id": sentence.article_id,
        "sentence_id": sentence.sentence_id,
        "start": sentence.start,
        "end": sentence.end,
        "sentence": sentence.text,
        "meta": sentence.meta,
        "provenance": provenance_row(sentence),
        "citations": list(sentence.citations),
    }


def provenance_row(sentence: Sentence) -> dict[str, Any] | None:
    """Build the object of the column `provenance`."""
    return sentence.provenance.as_dict() if sentence.provenance else None


def json_line(row: dict[str, Any]) -> str:
    """Write one row as a line of JSON: UTF-8, keys in the given order, no spaces to vary."""
    return _ENCODER.encode(row) + "\n"


def reject_row(reject: Reject) -> dict[str, Any]:
    """Build one row of a reject file."""
    return {"file": reject.file, "row": reject.row, "id": reject.id, "reason": reject.reason, "detail": reject.detail}


def reject_line(reject: Reject) -> str:
    """Describe a reject in a line for people.

    >>> reject_line(Reject("crawl.jsonl", 3, "empty", "holds no text"))
    'crawl.jsonl:3: empty: holds no text'
    """
    return f"{reject.file}{f':{reject.row}' if reject.row else ''}: {reject.reason}: {reject.detail}"


class RowWriter(Protocol):
    """Takes rows one at a time and closes its file at the end."""

    def write(self, row: dict[str, Any]) -> None:
        """Add one row."""

    def close(self) -> None:
        """Finish the file."""


class JsonlWriter:
    """Writes rows as JSON lines to a file or to standard output (``-``)."""

    def __init__(self, path: Path | str) -> None:
        """Open the file for writing."""
        if str(path) == STDIN:
            # The locale's encoding is not to decide what a pipe carries.
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8", newline="\n")
            self._stream: TextIO = sys.stdout
        else:
            self._stream = open(path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115

    def write(self, row: dict[str, Any]) -> None:
        """Write one line."""
        self._stream.write(json_line(row))

    def close(self) -> None:
        """Flush, and close unless it is standard output."""
        self._stream.flush()
        if self._stream is not sys.stdout:
            self._stream.close()

    def __enter__(self) -> "JsonlWriter":
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self.close()


_PROVENANCE = pa.struct(
    [
        pa.field("file", pa.string()),
        pa.field("row", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("offset", pa.int64()),
        pa.field("url", pa.string()),
        pa.field("crawled_at", pa.string()),
    ]
)


_CITATION = pa.struct(
    [
        pa.field("start", pa.int64()),
        pa.field("end", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("surface", "canonical", "type", "number")),
        pa.field("year", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("issuer", "pasal", "ayat", "huruf", "angka", "about")),
        pa.field("known", pa.bool_()),
        pa.field("successor_of", pa.string()),
        pa.field("back_reference", pa.bool_()),
    ]
)


def parquet_schema(labels: Iterable[str]) -> pa.Schema:
    """Return the Arrow schema of the output; `meta` is JSON text because its fields differ from crawl to crawl."""
    return pa.schema(
        [
            pa.field("article_id", pa.string(), nullable=False),
            pa.field("sentence_id", pa.string(), nullable=False),
            pa.field("start", pa.int64(), nullable=False),
            pa.field("end", pa.int64(), nullable=False),
            pa.field("sentence", pa.string(), nullable=False),
            pa.field("labels", pa.list_(pa.field("element", pa.string())), nullable=False),
            pa.field("scores", pa.struct([pa.field(label, pa.float64()) for label in labels]), nullable=False),
            pa.field("model", pa.string(), nullable=False),
            pa.field("truncated", pa.bool_(), nullable=False),
            pa.field("meta", pa.string(), nullable=False),
            pa.field("provenance", _PROVENANCE),
            pa.field("citations", pa.list_(pa.field("element", _CITATION)), nullable=False),
        ],
        metadata={"netral_output_schema": str(OUTPUT_SCHEMA)},
    )


def article_schema(labels: Sequence[str]) -> pa.Schema:
    """Return the Arrow schema of the output of `--level article`."""
    strongest = pa.struct(
        [
            pa.field("sentence_id", pa.string()),
            pa.field("start", pa.int64()),
            pa.field("end", pa.int64()),
            pa.field("sentence", pa.string()),
            pa.field("score", pa.float64()),
        ]
    )
    cited = pa.struct([pa.field("canonical", pa.string()), pa.field("type", pa.string()), pa.field("mentions", pa.int64())])
    return pa.schema(
        [
            pa.field("article_id", pa.string(), nullable=False),
            pa.field("labels", pa.list_(pa.field("element", pa.string())), nullable=False),
            pa.field("scores", pa.struct([pa.field(label, pa.float64()) for label in labels]), nullable=False),
            pa.field("sentences", pa.int64(), nullable=False),
            pa.field("counts", pa.struct([pa.field(label, pa.int64()) for label in labels]), nullable=False),
            pa.field("strongest", pa.struct([pa.field(label, strongest) for label in labels]), nullable=False),
            pa.field("truncated", pa.int64(), nullable=False),
            pa.field("model", pa.string(), nullable=False),
            pa.field("meta", pa.string(), nullable=False),
            pa.field("provenance", _PROVENANCE),
            pa.field("citations", pa.list_(pa.field("element", cited)), nullable=False),
        ],
        metadata={"netral_output_schema": str(OUTPUT_SCHEMA), "netral_output_level": ARTICLE},
    )


class ParquetWriter:
    """Writes output rows as Parquet (zstd, row groups of a fixed size)."""

    def __init__(self, path: Path | pa.NativeFile, labels: Sequence[str], level: str = SENTENCE) -> None:
        """Open the file for writing; a stream is left open at the end."""
        self._schema = article_schema(labels) if level == ARTICLE else parquet_schema(labels)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any]) -> None:
        """Add one row."""
        self._rows.append({**row, "meta": json.dumps(row["meta"], ensure_ascii=False, separators=(",", ":"))})
        if len(self._rows) >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def close(self) -> None:
        """Write the last rows and the footer."""
        if self._rows:
            self._flush()
        self._writer.close()
