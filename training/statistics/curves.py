"""What a label's scores are worth: reliability, and precision and recall at every threshold."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.statistics.bootstrap import GroupBootstrap

_DIGITS = 4
THRESHOLDS = np.round(np.arange(0.05, 0.951, 0.05), 2)


def reliability(scores: np.ndarray, truth: np.ndarray, labels: Sequence[str], bootstrap: GroupBootstrap, bins: int = 10) -> dict[str, Any]:
    """Return for each label the mean score and the share of positives in bins of equal number of sentences, lowest scores first.

    The bins are those of the calibration error (training.evaluation.metrics.calibration_of).
    """
    found = {}
    for k, label in enumerate(labels):
        place = np.empty(len(scores), dtype=int)
        place[np.argsort(scores[:, k], kind="stable")] = np.arange(len(scores)) * bins // len(scores)
        inside = (place[:, None] == np.arange(bins)).astype(float)
        shares = bootstrap.ratio(inside * truth[:, [k]], inside)
        found[label] = [
            {
                "sentences": int((place == b).sum()),
                "low": float(scores[place == b, k].min()),
                "high": float(scores[place == b, k].max()),
                "mean_score": round(float(scores[place == b, k].mean()), _DIGITS),
                "share": round(float(shares[-1, b]), _DIGITS),
                "interval": bootstrap.interval(shares[:, b], bootstrap.wilson(truth[place == b, k].sum(), (place == b).sum())),
            }
            for b in range(bins)
            if (place == b).any()
        ]
    return found


def precision_recall_points(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return threshold, precision and recall at every distinct score of a label, the highest first; shape (scores, 3).

    Args:
        scores: Of each sentence.
        truth: 0/1, at least one of them 1.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    last_of_ties = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    found = hits[last_of_ties]
    return np.column_stack([ranked[last_of_ties], found / (last_of_ties + 1), found / hits[-1]])


def threshold_curves(scores: np.ndarray, truth: np.ndarray, labels: Sequence[str], bootstrap: GroupBootstrap) -> dict[str, Any]:
    """Return for each label precision, recall and F1 with intervals at thresholds from 0.05 to 0.95."""
    return {label: _curve(scores[:, k], truth[:, [k]], bootstrap) for k, label in enumerate(labels)}


def _curve(scores: np.ndarray, truth: np.ndarray, bootstrap: GroupBootstrap) -> list[dict[str, Any]]:
    given = (scores[:, None] >= THRESHOLDS).astype(int)
    hits, chosen, positives = (given * truth).sum(0), given.sum(0), np.broadcast_to(truth.sum(0), len(THRESHOLDS))
    precision = bootstrap.ratio(given * truth, given)
    recall = bootstrap.ratio(given * truth, np.broadcast_to(truth, given.shape))
    f1 = bootstrap.f1(given, np.broadcast_to(truth, given.shape))
    return [
        {
            "threshold": float(threshold),
            "labelled": int(chosen[t]),
            "precision": _value(precision[-1, t]),
            "precision_interval": bootstrap.interval(precision[:, t], bootstrap.wilson(hits[t], chosen[t])),
            "recall": _value(recall[-1, t]),
            "recall_interval": bootstrap.interval(recall[:, t], bootstrap.wilson(hits[t], positives[t])),
            "f1": _value(f1[-1, t]),
            "f1_interval": bootstrap.interval(f1[:, t], bootstrap.f1_floor(hits[t], chosen[t], positives[t])),
        }
        for t, threshold in enumerate(THRESHOLDS)
    ]


def _value(value: float) -> float | None:
    return round(float(value), _DIGITS) if np.isfinite(value) else None
