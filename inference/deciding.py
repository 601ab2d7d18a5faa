"""From logits to scores and labels, as a model folder's decision.json says: each label alone, or the likeliest of a choice."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from netral.model_folder import Decision

SCORE_DECIMALS = 3


class Decider(Protocol):
    """The arithmetic of a decision on arrays of shape (rows, labels)."""

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities rounded to three decimals."""
        ...

    def bounds(self, logits: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores between which each score lies if every logit may be off by ``noise``."""
        ...

    def margins(self, logits: np.ndarray) -> np.ndarray:
        """Return by how many units of a calibrated logit each label is given; below 0 it is not."""
        ...

    def given(self, scores: np.ndarray) -> np.ndarray:
        """Return the labels for rounded scores, as booleans. Also for a single row of shape (labels,)."""
        ...

    def merged(self, windows: np.ndarray) -> np.ndarray:
        """Return one row, of scores or of logits, for the windows that a long sentence was read in."""
        ...


def make_decider(decision: Decision) -> Decider:
    """Return the arithmetic that a decision asks for."""
    return ChoiceDecider(decision) if decision.choices else LabelDecider(decision)


def doubtful(scores: Mapping[str, float], bands: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the labels whose score lies in their review band, its ends included.

    >>> doubtful({"a": 0.4, "b": 0.7, "c": 0.5}, {"a": (0.4, 0.6), "b": (0.4, 0.6)})
    ['a']
    """
    return [label for label, (low, high) in bands.items() if low <= scores[label] <= high]


def in_bands(scores: np.ndarray, bands: Mapping[str, tuple[float, float]], labels: Sequence[str]) -> np.ndarray:
    """Return which of many scores, shape (sentences, labels), lie in their label's band; the same rule as for one sentence."""
    edges = np.array([bands.get(label, (2.0, -1.0)) for label in labels])
    return np.asarray((scores >= edges[:, 0]) & (scores <= edges[:, 1]))


def _sigmoid(calibrated: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(1 / (1 + np.exp(-np.clip(calibrated, -60, 60))), SCORE_DECIMALS))


class LabelDecider:
    """Multi-label: each label has its own sigmoid and threshold."""

    def __init__(self, decision: Decision) -> None:
        """Read calibration and thresholds in the order of the labels."""
        self._slopes = np.array([decision.calibration[name].slope for name in decision.labels])
        self._offsets = np.array([decision.calibration[name].offset for name in decision.labels])
        self._thresholds = np.array([decision.thresholds[name] for name in decision.labels])
        inside = self._thresholds.clip(1e-6, 1 - 1e-6)
        self._edges = np.log(inside / (1 - inside))

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Return each label's sigmoid."""
        return _sigmoid(self._calibrated(logits))

    def bounds(self, logits: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of the lowest and of the highest logits."""
        return self.scores(logits - noise), self.scores(logits + noise)

    def margins(self, logits: np.ndarray) -> np.ndarray:
        """Return the distance from each label's threshold."""
        return np.asarray(np.clip(self._calibrated(logits), -60, 60) - self._edges)

    def given(self, scores: np.ndarray) -> np.ndarray:
        """Return the labels whose score reaches the threshold."""
        return np.asarray(scores >= self._thresholds)

    def merged(self, windows: np.ndarray) -> np.ndarray:
        """Return the largest value: a label that one window shows is the sentence's."""
        return np.asarray(windows.max(axis=0))

    def _calibrated(self, logits: np.ndarray) -> np.ndarray:
        return np.asarray(logits * self._slopes + self._offsets)


class ChoiceDecider:
    """Single-label: a softmax over each choice, of which the likeliest label is given; of equal scores the first."""

    def __init__(self, decision: Decision) -> None:
        """Read the choices as ranges of columns, and their temperatures."""
        self._slopes = np.array([decision.calibration[name].slope for name in decision.labels])
        ends = np.cumsum([len(choice) for choice in decision.choices.values()]).tolist()
        self._choices = [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Return the softmax within each choice."""
        return _sigmoid(self._log_odds(logits))

    def bounds(self, logits: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
        """Return scores for the log odds at their lowest and highest: a label's own logit and all others may be off to either side."""
        odds, reach = self._log_odds(logits), 2 * noise * self._slopes
        return _sigmoid(odds - reach), _sigmoid(odds + reach)

    def margins(self, logits: np.ndarray) -> np.ndarray:
        """Return the distance of each label's calibrated logit from the best other one of its choice."""
        calibrated, out = logits * self._slopes, np.empty(logits.shape)
        for choice in self._choices:
            part = calibrated[:, choice]
            second, first = np.partition(part, -2, axis=1)[:, -2:].T
            others = np.where(part == first[:, None], second[:, None], first[:, None])
            out[:, choice] = part - others
        return out

    def given(self, scores: np.ndarray) -> np.ndarray:
        """Return the label with the highest score of each choice."""
        out = np.zeros(scores.shape, dtype=bool)
        for choice in self._choices:
            best = choice.start + scores[..., choice].argmax(axis=-1)
            np.put_along_axis(out, best[..., None], True, axis=-1)
        return out

    def merged(self, windows: np.ndarray) -> np.ndarray:
        """Return the mean: the values of a choice still add up to one."""
        return np.asarray(windows.mean(axis=0))

    def _log_odds(self, logits: np.ndarray) -> np.ndarray:
        """Return each label's calibrated logit minus the log of the sum of all others' exponentials: the odds of its softmax."""
        calibrated, out = logits * self._slopes, np.empty(logits.shape)
        for choice in self._choices:
            part = calibrated[:, choice]
            columns = np.arange(part.shape[1])
            for column in columns:
                out[:, choice.start + column] = part[:, column] - np.logaddexp.reduce(part[:, columns != column], axis=1)
        return out
