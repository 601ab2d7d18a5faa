"""Chooses calibration and threshold per label on the validation split."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from netral.config import DecisionSettings
from netral.model_folder import Calibration, Decision

# Pulls slope and offset towards 1 and 0: with some twenty positives in validation an unbound fit follows single sentences.
_PRIOR = 1.0
# Two decimals: a finer threshold would pretend to a precision that a validation split of hundreds does not have.
_GRID = np.round(np.arange(0.05, 0.951, 0.01), 2)


def platt(logits: np.ndarray, truth: np.ndarray, words: np.ndarray | None = None) -> Calibration:
    """Fit probability = sigmoid(slope * logit + offset) for one label (Platt 1999), with a prior towards the identity.

    With ``words``, what the linear model of words says, its share is fitted too (stacking, Wolpert 1992); the prior leaves it out.
    """
    if truth.min() == truth.max():
        return Calibration()
    beside = np.zeros_like(logits) if words is None else words

    def loss(x: np.ndarray) -> float:
        z = x[0] * logits + x[1] + x[2] * beside
        likelihood = np.logaddexp(0, z).sum() - (truth * z).sum()
        return float(likelihood + _PRIOR / 2 * ((x[0] - 1) ** 2 + x[1] ** 2 + x[2] ** 2))

    bounds = [(0.05, 10), (-10, 10), (0, 0) if words is None else (0, 10)]
    slope, offset, share = minimize(loss, np.array([1.0, 0.0, 0.0]), method="L-BFGS-B", bounds=bounds).x
    # Within the brackets of the formula in netral/model_folder.py, so that margins and noise stay in units of the encoder's logits.
    return Calibration(slope=round(float(slope), 6), offset=round(float(offset), 6), lexical=round(float(share / slope), 6))


def sentence_weights(truth: np.ndarray, no_label_share: float | None) -> np.ndarray:
    """Return a weight per sentence under which the share of sentences without a label is ``no_label_share``.

    Annotated data hold labelled sentences far more often than a crawl does; thresholds chosen on them unweighted let
    through too much.
    """
    empty = truth.sum(axis=1) == 0
    if no_label_share is None or empty.all() or not empty.any():
        return np.ones(len(truth))
    wanted = no_label_share / (1 - no_label_share) * (~empty).sum() / empty.sum()
    return np.where(empty, wanted, 1.0)


def best_threshold(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray, articles: Sequence[str], samples: int, seed: int) -> float:
    """Choose the threshold with the highest weighted F1 on average over bootstrap samples of articles.

    Averaging smooths the jagged curve of a small split, whose single highest point often is an accident.
    Without a positive there is nothing to choose by: 0.5.
    """
    if not truth.any():
        return 0.5
    ids = {article: i for i, article in enumerate(dict.fromkeys(articles))}
    owner = np.array([ids[article] for article in articles])
    given = (scores[None, :] >= _GRID[:, None]) * weights

    def per_article(values: np.ndarray) -> np.ndarray:
        return np.array([np.bincount(owner, weights=row, minlength=len(ids)) for row in np.atleast_2d(values)])

    resamples = np.random.default_rng(seed).multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=samples)
    hits, total = per_article(given * truth), per_article(given) + per_article(truth * weights)
    curve = (2 * (resamples @ hits.T) / np.maximum(resamples @ total.T, 1e-9)).mean(axis=0)
    best = np.flatnonzero(curve >= curve.max() - 1e-12)
    return float(_GRID[best[len(best) // 2]])


def choose_decision(
    logits: np.ndarray,
    truth: np.ndarray,
    articles: Sequence[str],
    labels: Sequence[str],
    settings: DecisionSettings,
    seed: int,
    chosen_on: str = "validation",
    words: np.ndarray | None = None,
) -> Decision:
    """Return calibration and thresholds for held-out logits of shape (sentences, labels); ``chosen_on`` says whose they are.

    ``words``, of the same shape, is what a linear model of words says that was not fitted on these sentences either.
    """
    calibration, thresholds = {}, {}
    weights = sentence_weights(truth, settings.no_label_share)
    for k, label in enumerate(labels):
        z = logits[:, k].astype(np.float64)
        beside = None if words is None else words[:, k]
        fitted = platt(z, truth[:, k], beside) if settings.calibration == "platt" else Calibration()
        stacked = z if beside is None else z + fitted.lexical * beside
        scores = 1 / (1 + np.exp(-np.clip(fitted.slope * stacked + fitted.offset, -60, 60)))
        calibration[label] = fitted
        thresholds[label] = best_threshold(scores, truth[:, k], weights, articles, settings.bootstrap_samples, seed)
    return Decision(
        labels=list(labels),
        calibration=calibration,
        thresholds=thresholds,
        chosen_on={
            "split": chosen_on,
            "sentences": len(truth),
            "articles": len(set(articles)),
            "no_label_share": settings.no_label_share,
            "positives": {label: int(truth[:, k].sum()) for k, label in enumerate(labels)},
        },
    )
