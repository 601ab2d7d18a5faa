"""Multi-label metrics as `evaluate.Metric` classes that work offline, and their bootstrap intervals."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from sklearn.metrics import average_precision_score


class MultilabelScores(evaluate.Metric):  # type: ignore[misc]
    """Precision, recall, F1 and support per label, micro and macro F1, and exact match.

    ``predictions`` and ``references`` are 0/1 rows, one column a label. An undefined ratio counts as 0, as in
    scikit-learn with ``zero_division=0``.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _info({"predictions": "int32", "references": "int32"}, "multi-label precision, recall, F1 and exact match")

    def _compute(self, predictions: Sequence[Sequence[int]], references: Sequence[Sequence[int]], labels: Sequence[str]) -> dict[str, Any]:
        given, truth = np.array(predictions), np.array(references)
        hits, chosen, positives = (given * truth).sum(0), given.sum(0), truth.sum(0)
        f1 = f1_of(hits, chosen, positives)
        return {
            "labels": {
                label: {
                    "precision": float(hits[k] / max(chosen[k], 1)),
                    "recall": float(hits[k] / max(positives[k], 1)),
                    "f1": float(f1[k]),
                    "support": int(positives[k]),
                    "predicted": int(chosen[k]),
                }
                for k, label in enumerate(labels)
            },
            "micro_f1": float(f1_of(hits.sum(), chosen.sum(), positives.sum())),
            "macro_f1": float(f1.mean()),
            "exact_match": float((given == truth).all(axis=1).mean()),
        }


class AveragePrecision(evaluate.Metric):  # type: ignore[misc]
    """Area under the precision-recall curve per label, and its mean over labels that have a positive."""

    def _info(self) -> evaluate.MetricInfo:
        return _info({"predictions": "float64", "references": "int32"}, "average precision per label")

    def _compute(
        self, predictions: Sequence[Sequence[float]], references: Sequence[Sequence[int]], labels: Sequence[str]
    ) -> dict[str, Any]:
        scores, truth = np.array(predictions), np.array(references)
        each = {
            label: float(average_precision_score(truth[:, k], scores[:, k])) if truth[:, k].any() else None
            for k, label in enumerate(labels)
        }
        known = [value for value in each.values() if value is not None]
        return {"labels": each, "macro_average_precision": float(np.mean(known)) if known else 0.0}


def _info(columns: dict[str, str], description: str) -> evaluate.MetricInfo:
    features = datasets.Features({name: datasets.Sequence(datasets.Value(kind)) for name, kind in columns.items()})
    return evaluate.MetricInfo(description=description, citation="", inputs_description=description, features=features)


def scores_of(given: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Compute :class:`MultilabelScores` of 0/1 arrays of shape (sentences, labels)."""
    metric = MultilabelScores(keep_in_memory=True)
    found: dict[str, Any] = metric.compute(predictions=given.tolist(), references=truth.tolist(), labels=list(labels))
    return found


def average_precision_of(scores: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Compute :class:`AveragePrecision` of scores of shape (sentences, labels)."""
    metric = AveragePrecision(keep_in_memory=True)
    found: dict[str, Any] = metric.compute(predictions=scores.tolist(), references=truth.tolist(), labels=list(labels))
    return found


def f1_of(hits: np.ndarray, chosen: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Return F1 from counts of any shape; 0 where nothing was given and nothing was to be given."""
    return np.asarray(2 * hits / np.maximum(chosen + positives, 1))


def divided(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Divide; NaN where there is nothing to divide by."""
    return np.where(under > 0, over / np.where(under > 0, under, 1), np.nan)


class ArticleBootstrap:
    """Resamples articles, not sentences: sentences of one article are alike, and sentence intervals come out too narrow.

    The same seed gives the same resamples, so that two systems on the same sentences are compared in pairs.
    """

    def __init__(self, articles: Sequence[str], samples: int, confidence: float, seed: int) -> None:
        """Draw the resamples: for each, how often every article occurs."""
        ids = {article: i for i, article in enumerate(dict.fromkeys(articles))}
        self._owner = np.array([ids[article] for article in articles])
        self._weights = np.random.default_rng(seed).multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=samples)
        self._tail = (1 - confidence) / 2

    def f1(self, given: np.ndarray, truth: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """Return F1 per label in every resample, shape (samples, labels); with ``values`` (see training.data.choices) per value."""
        counted = (given * truth, given, truth)
        sums = [self._per_article(column if values is None else column @ values) for column in counted]
        hits, chosen, positives = (self._weights @ s for s in sums)
        return f1_of(hits, chosen, positives)

    def micro_f1(self, given: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return micro F1 in every resample, shape (samples,)."""
        sums = [self._per_article(column).sum(1) for column in (given * truth, given, truth)]
        hits, chosen, positives = (self._weights @ s for s in sums)
        return f1_of(hits, chosen, positives)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over sentences of a value in every resample, shape (samples,)."""
        sums = self._per_article(values[:, None])[:, 0]
        counts = self._per_article(np.ones((len(values), 1)))[:, 0]
        return divided(self._weights @ sums, self._weights @ counts)

    def absolute_mean(self, values: np.ndarray) -> np.ndarray:
        """Return in every resample the absolute sums of the columns, added up and divided by the number of sentences, shape (samples,)."""
        counts = self._per_article(np.ones((len(values), 1)))[:, 0]
        return divided(np.abs(self._weights @ self._per_article(values)).sum(1), self._weights @ counts)

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of each column over the sentences of every resample, shape (samples, columns)."""
        return np.asarray(self._weights @ self._per_article(values))

    def interval(self, samples: np.ndarray) -> list[float]:
        """Return the percentile interval of resampled values."""
        return [round(float(q), 4) for q in np.quantile(samples, [self._tail, 1 - self._tail])]

    def _per_article(self, values: np.ndarray) -> np.ndarray:
        out = np.zeros((self._owner.max() + 1, values.shape[1]))
        np.add.at(out, self._owner, values)
        return out


def calibration_of(
    scores: np.ndarray, truth: np.ndarray, labels: Sequence[str], bootstrap: ArticleBootstrap, bins: int = 10
) -> dict[str, dict[str, Any]]:
    """Return for each label how far probabilities are from frequencies: expected calibration error and Brier score.

    The sentences are cut by their score into ``bins`` of equal number (Nguyen and O'Connor 2015): bins of equal width would put nearly all
    sentences without the label into one. In each bin the mean score is set against the share that has the label. The
    interval resamples articles in fixed bins. The error of few sentences comes out too high, because chance never cancels in it.
    """
    found = {}
    for k, label in enumerate(labels):
        place = np.empty(len(scores), dtype=int)
        place[np.argsort(scores[:, k], kind="stable")] = np.arange(len(scores)) * bins // len(scores)
        gaps = np.zeros((len(scores), bins))
        gaps[np.arange(len(scores)), place] = scores[:, k] - truth[:, k]
        squares = (scores[:, k] - truth[:, k]) ** 2
        found[label] = {
            "ece": float(np.abs(gaps.sum(0)).sum() / len(scores)),
            "ece_interval": bootstrap.interval(bootstrap.absolute_mean(gaps)),
            "brier": float(squares.mean()),
            "brier_interval": bootstrap.interval(bootstrap.mean(squares)),
        }
    return found
