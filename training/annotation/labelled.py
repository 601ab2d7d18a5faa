"""Reads the output of `netral label` back: sentences with scores, in the order of their articles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.outputs.read import NEXT, not_a_row, output_rows, part_files
from netral.errors import NetralError
from netral.io.paths import expand_inputs

_COLUMNS = ("article_id", "sentence_id", "start", "end", "sentence", "labels", "scores", "model")


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
    # Of a folder that a job wrote the parts alone: a Ray job keeps other Parquet files beside them.
    files = [str(part) for each in inputs for part in part_files(Path(each)) or [Path(each)]]
    for path in expand_inputs(files):
        for where, record in output_rows(path, _COLUMNS, ("citations",)):
            row = _row(record, where)
            if rows and row.model != rows[0].model:
                raise NetralError(f"{where}: labelled by another model than the rows before", "label all of the input with one model")
            rows.append(row)
    if not rows:
        raise NetralError(f"{', '.join(inputs)}: no labelled sentence", NEXT)
    return rows


def _row(record: dict[str, Any], where: str) -> Labelled:
    try:
        return Labelled(
            record["article_id"],
            record["sentence_id"],
            record["start"],
            record["end"],
            record["sentence"],
            tuple(record["labels"]),
            {label: float(score) for label, score in record["scores"].items()},
            record["model"],
            any(not each["back_reference"] for each in record.get("citations") or ()),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise not_a_row(where, f"{error.args[0]} is missing" if isinstance(error, KeyError) else error) from None
