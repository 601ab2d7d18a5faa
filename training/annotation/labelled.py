"""Reads the output of `netral label` back: sentences with scores, in the order of their articles."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from netral.errors import NetralError
from netral.io.paths import expand_inputs
from netral.io.streams import read_lines

_LIMIT = 10_000_000
_NEXT = "pass what `netral label --out` wrote (docs/output.md)"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One row of the output, without what nobody needs here.

    Attributes:
        cites: True if the parser of citations found a regulation named in the sentence.
    """

    article_id: str
    sentence_id: str
    start: int
    end: int
    sentence: str
    labels: tuple[str, ...]
    scores: dict[str, float]
    model: str
    cites: bool


def read_labelled(inputs: Sequence[str]) -> list[Labelled]:
    """Read output files or folders of `netral label`, JSONL or Parquet.

    Raises:
        NetralError: A row was not made by `netral label`, or rows come from two models.
    """
    rows: list[Labelled] = []
    for path in expand_inputs(inputs):
        for where, record in _records(path):
            row = _row(record, where)
            if rows and row.model != rows[0].model:
                raise NetralError(f"{where}: labelled by another model than the rows before", "label all of the input with one model")
            rows.append(row)
    if not rows:
        raise NetralError(f"{', '.join(inputs)}: no labelled sentence", _NEXT)
    return rows


def _row(record: dict[str, Any], where: str) -> Labelled:
    try:
        texts = [record[name] for name in ("article_id", "sentence_id", "sentence", "model")]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a field that must be text is not")
        scores = {str(label): float(score) for label, score in record["scores"].items()}
        return Labelled(
            record["article_id"],
            record["sentence_id"],
            int(record["start"]),
            int(record["end"]),
            record["sentence"],
            tuple(record["labels"]),
            scores,
            record["model"],
            any(not each["back_reference"] for each in record.get("citations") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise NetralError(f"{where}: not a row of `netral label` ({detail})", _NEXT) from None


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.suffix.lower() == ".parquet":
        try:
            number = 0
            for batch in pq.ParquetFile(path).iter_batches(batch_size=1024):
                for record in batch.to_pylist():
                    number += 1
                    yield f"{path}:{number}", record
        except (pa.ArrowException, OSError) as error:
            raise NetralError(f"{path}: cannot be read as Parquet ({error})", _NEXT) from None
        return
    for line in read_lines(path, _LIMIT):
        where = f"{path}:{line.row}"
        if not line.reason and not line.data.strip():
            continue
        try:
            record = json.loads(line.data) if not line.reason else None
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise NetralError(f"{where}: not a row of `netral label` ({line.reason or 'no JSON object'})", _NEXT)
        yield where, record
