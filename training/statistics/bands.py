"""Review bands: the scores around a threshold that a person should look at, as many as a budget allows."""

from collections.abc import Sequence

import numpy as np

from inference.deciding import SCORE_DECIMALS
from training.statistics.goals import Goal

Bands = dict[str, tuple[float, float]]


def review_bands(
    goals: dict[str, Goal], thresholds: dict[str, float], labels: Sequence[str], scores: np.ndarray, weights: np.ndarray, per_day: float
) -> tuple[Bands, dict[str, float]]:
    """Return for each label the scores between which people look: the most uncertain sentences, as many as the goal allows.

    Uncertain is what lies near its threshold, in logits. Labels under one goal share its budget; a sentence in the bands of several of
    them counts once. Sentences that are equally near come together or not at all.

    Returns:
        The bands; and of each label that gets none how many sentences a day are equally near to a threshold of its goal and nearer than
        all others: more than the goal allows.
    """
    bands: Bands = {}
    ties: dict[str, float] = {}
    for goal in dict.fromkeys(goals.values()):
        mine = [label for label in labels if goals.get(label) == goal]
        edges = np.array([logit(thresholds[label]) for label in mine])
        nearness = np.abs(logit(scores[:, [list(labels).index(label) for label in mine]]) - edges).min(axis=1)
        order = np.argsort(nearness, kind="stable")
        load = np.cumsum(weights[order]) / weights.sum() * per_day
        distinct = np.append(np.flatnonzero(np.diff(nearness[order]) > 1e-9), len(order) - 1)
        within = distinct[load[distinct] <= (goal.value or 0.0)]
        if not len(within):
            ties |= dict.fromkeys(mine, float(load[distinct[0]]))
            continue
        width = nearness[order][within[-1]]
        for label, edge in zip(mine, edges, strict=True):
            bands[label] = (_inward(_sigmoid(edge - width), up=True), _inward(_sigmoid(edge + width), up=False))
    return bands, ties


def logit(probability: np.ndarray | float) -> np.ndarray:
    """Return the log odds of rounded probabilities; 0 and 1 count as half a step of the rounding from the end."""
    half = 0.5 * 10**-SCORE_DECIMALS
    p = np.clip(probability, half, 1 - half)
    return np.asarray(np.log(p / (1 - p)))


def _sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def _inward(value: float, up: bool) -> float:
    """Round to the decimals of scores, towards the threshold, so that the band takes in no more than was counted."""
    scale = 10**SCORE_DECIMALS
    return float((np.ceil(value * scale - 1e-6) if up else np.floor(value * scale + 1e-6)) / scale)
