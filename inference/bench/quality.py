"""The shipped model's judgement on sentences that no one here wrote."""

import numpy as np

from inference.bench.common import SHARED, Table, read_rows
from inference.predictor import Predictor
from netral.labels import LABELS

_REAL = SHARED / "real" / "dev.jsonl"


def real_table() -> Table:
    """Score the default model on real news sentences; without ../shared only the header."""
    rows = read_rows(_REAL) if _REAL.is_file() else []
    table: Table = [["real sentences", "support", "precision", "recall", "F1"]]
    if not rows:
        return table
    found = Predictor().predict([str(row["sentence"]) for row in rows])
    for label in LABELS:
        gold = np.array([label in row["labels"] for row in rows])
        given = np.array([label in p.labels for p in found])
        hits = int((gold & given).sum())
        precision, recall = hits / max(given.sum(), 1), hits / max(gold.sum(), 1)
        f1 = 2 * hits / max(gold.sum() + given.sum(), 1)
        table.append([label, str(gold.sum()), f"{precision:.2f}", f"{recall:.2f}", f"{f1:.2f}"])
    empty = [not p.labels for row, p in zip(rows, found, strict=True) if not row["labels"]]
    return [*table, ["empty ones that stay empty", str(len(empty)), "", f"{sum(empty) / len(empty):.3f}", ""]]
