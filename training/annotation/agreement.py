"""How far annotators agree: Krippendorff's alpha for each label, Cohen's kappa for each pair, and what they disagree on."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from netral.config import EvaluateSettings
from training.annotation.collect import by_sentence
from training.annotation.task import Answer, Task
from training.evaluation.metrics import ArticleBootstrap


def alpha(counts: np.ndarray) -> float | None:
    """Return Krippendorff's alpha for nominal values (Krippendorff 2011, *Computing Krippendorff's Alpha-Reliability*).

    Units with fewer than two values say nothing of agreement and are left out.

    Args:
        counts: How many annotators gave each value, shape (units, values); missing answers are simply not counted.

    Returns:
        1 for perfect agreement, 0 for what chance would give, less for systematic disagreement; None where it is not defined,
        because no unit has two values or all values are the same.

    Example:
        >>> alpha(np.array([[2, 0], [0, 2], [1, 1]]))
        0.4444444444444444
    """
    return _alpha(unit_terms(counts).sum(axis=0))


def unit_terms(counts: np.ndarray) -> np.ndarray:
    """Return what each unit adds to alpha: its observed disagreement, and how often it has each value; shape (units, 1 + values)."""
    m = counts.sum(axis=1)
    pairable = m >= 2
    disagreement = np.where(pairable, (m**2 - (counts**2).sum(axis=1)) / np.maximum(m - 1, 1), 0.0)
    return np.column_stack([disagreement, counts * pairable[:, None]])


def _alpha(totals: np.ndarray) -> float | None:
    observed, values = totals[0], totals[1:]
    n = values.sum()
    expected = (n**2 - (values**2).sum()) / max(n - 1, 1)
    return float(1 - observed / expected) if expected > 0 else None


def agreement(answers: Sequence[Answer], labels: Sequence[str], settings: EvaluateSettings) -> dict[str, Any]:
    """Return alpha for each label with a bootstrap interval over articles, and a table for each pair of annotators.

    A skipped sentence counts as a missing answer.
    """
    given = {place: {a.annotator: a.labels for a in same if a.labels is not None} for place, same in by_sentence(answers).items()}
    several = {place: each for place, each in sorted(given.items()) if len(each) >= 2}
    names = sorted({a.annotator for a in answers})
    return {
        "annotators": {name: sum(name in each for each in given.values()) for name in names},
        "sentences": len(given),
        "answered_by_several": len(several),
        "labels": {label: _label(several, label, settings) for label in labels},
        "pairs": [_pair(several, one, other, labels) for one, other in combinations(names, 2)],
        "confidence": settings.confidence,
    }


Given = dict[tuple[str, int, int], dict[str, tuple[str, ...]]]


def _label(several: Given, label: str, settings: EvaluateSettings) -> dict[str, Any]:
    counts = np.array([[sum(label not in g for g in each.values()), sum(label in g for g in each.values())] for each in several.values()])
    if not len(counts):
        return {"alpha": None, "interval": None, "given": 0, "answers": 0}
    point = alpha(counts)
    bootstrap = ArticleBootstrap([article for article, _, _ in several], settings.bootstrap_samples, settings.confidence, settings.seed)
    # A resample in which nobody gives the label says nothing of it.
    samples = [value for totals in bootstrap.totals(unit_terms(counts)) if (value := _alpha(totals)) is not None]
    return {
        "alpha": None if point is None else round(point, 4),
        "interval": bootstrap.interval(np.array(samples)) if point is not None and samples else None,
        "given": int(counts[:, 1].sum()),
        "answers": int(counts.sum()),
    }


def _pair(several: Given, one: str, other: str, labels: Sequence[str]) -> dict[str, Any]:
    shared = [(each[one], each[other]) for each in several.values() if one in each and other in each]
    found: dict[str, Any] = {"annotators": [one, other], "n": len(shared)}
    if not shared:
        return found
    found["same_labels"] = round(sum(set(a) == set(b) for a, b in shared) / len(shared), 4)
    found["labels"] = {}
    for label in labels:
        a, b = (np.array([label in pair[side] for pair in shared]) for side in (0, 1))
        # Kappa is not defined where both give one and the same answer throughout.
        kappa = None if len(np.unique(np.concatenate([a, b]))) < 2 else round(float(cohen_kappa_score(a, b)), 4)
        found["labels"][label] = {"kappa": kappa, "agreement": round(float((a == b).mean()), 4), "both": int((a & b).sum())}
    return found


def to_adjudicate(answers: Sequence[Answer], labels: Sequence[str]) -> list[Task]:
    """Return the sentences on which annotators differ, as tasks that show what each of them said."""
    tasks = []
    for _, same in sorted(by_sentence(answers).items()):
        given = {a.annotator: a.labels for a in same if a.labels is not None}
        if len({frozenset(each) for each in given.values()}) > 1:
            shares = {label: round(sum(label in each for each in given.values()) / len(given), 3) for label in labels}
            tasks.append(Task(same[0].origin, same[0].sentence, (), (), shares, given))
    return tasks
