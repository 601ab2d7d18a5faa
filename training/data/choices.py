"""Single-label tasks: of each choice (all labels, or the values of one aspect) exactly one holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch.nn.functional import cross_entropy

from netral.config import DecisionSettings, TrainSettings
from netral.labels import value_of
from netral.model_folder import Calibration, Decision
from training.evaluation.metrics import f1_of

Choices = Mapping[str, Sequence[str]]
# Pulls the logarithm of a temperature towards 0, as the prior of Platt scaling does: a validation split may have fifty rows.
_PRIOR = 1.0


def columns_of(choices: Choices) -> list[slice]:
    """Return the columns of each choice.

    >>> columns_of({"fuel": ["good", "bad"], "price": ["good", "bad", "none"]})
    [slice(0, 2, None), slice(2, 5, None)]
    """
    ends = np.cumsum([len(choice) for choice in choices.values()]).tolist()
    return [slice(begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def choice_loss(
    logits: torch.Tensor, truth: torch.Tensor, choices: Choices, weights: torch.Tensor, sentence_weights: torch.Tensor
) -> torch.Tensor:
    """Return the cross-entropy of the softmax over each choice, averaged over the choices.

    ``truth`` holds 0 and 1, of the shape of ``logits``; ``weights`` one number a column, ``sentence_weights`` one a sentence.
    """
    losses = []
    for c in columns_of(choices):
        wanted = truth[:, c].argmax(1)
        each = cross_entropy(logits[:, c], wanted, weight=weights[c], reduction="none")
        losses.append((each * sentence_weights).sum() / (weights[c][wanted] * sentence_weights).sum())
    return torch.stack(losses).mean()


def class_weights(truth: np.ndarray, choices: Choices, settings: TrainSettings) -> torch.Tensor:
    """Return the weight of each value: 1, by how much rarer it is than an even share of its choice, or the square root of that; bounded."""
    if settings.pos_weight == "none":
        return torch.ones(truth.shape[1])
    even = np.concatenate([np.full(c.stop - c.start, len(truth) / (c.stop - c.start)) for c in columns_of(choices)])
    ratio = even / np.maximum(truth.sum(0), 1)
    weight = np.sqrt(ratio) if settings.pos_weight == "sqrt" else ratio
    return torch.tensor(np.clip(weight, 1 / settings.max_pos_weight, settings.max_pos_weight), dtype=torch.float32)


def likeliest(scores: np.ndarray, choices: Choices) -> np.ndarray:
    """Return 0/1 of the shape of ``scores``: 1 for the highest of each choice."""
    out = np.zeros(scores.shape, dtype=int)
    for c in columns_of(choices):
        out[np.arange(len(scores)), c.start + scores[:, c].argmax(axis=1)] = 1
    return out


def value_columns(given: np.ndarray, truth: np.ndarray, labels: Sequence[str], choices: Choices) -> np.ndarray:
    """Return which columns hold the same value, as 0/1 of shape (columns, values).

    A value counts over all aspects together, as in IndoNLU, and one that neither occurs nor is given has no F1 and no column.
    """
    aspects = [aspect for aspect, choice in choices.items() for _ in choice]
    values = [value_of(label, aspect) for label, aspect in zip(labels, aspects, strict=True)]
    matrix = np.array([[int(value == each) for each in dict.fromkeys(values)] for value in values])
    return np.asarray(matrix[:, ((given + truth) @ matrix).any(axis=0)])


def choice_figures(given: np.ndarray, truth: np.ndarray, labels: Sequence[str], choices: Choices) -> dict[str, float]:
    """Return macro-F1 over the values and accuracy over all choices, of 0/1 arrays of shape (sentences, columns)."""
    values = value_columns(given, truth, labels, choices)
    hits = given * truth
    return {
        "macro_f1": float(f1_of(hits.sum(0) @ values, given.sum(0) @ values, truth.sum(0) @ values).mean()),
        "accuracy": float(hits.sum() / truth.sum()),
    }


def temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Fit the temperature of one choice (Guo et al. 2017): probabilities = softmax(logits / temperature), with a prior towards 1."""

    def loss(log_slope: float) -> float:
        scaled = logits * np.exp(log_slope)
        return float(np.logaddexp.reduce(scaled, axis=1).sum() - (scaled * truth).sum() + _PRIOR / 2 * log_slope**2)

    # 0.05 to 10 as a slope, the bounds of Platt scaling.
    return float(np.exp(-minimize_scalar(loss, bounds=(np.log(0.05), np.log(10)), method="bounded").x))


def choose_temperatures(
    logits: np.ndarray, truth: np.ndarray, articles: Sequence[str], choices: Choices, settings: DecisionSettings, split: str = "validation"
) -> Decision:
    """Return the decision of a single-label model for held-out logits of shape (sentences, columns)."""
    calibration: dict[str, Calibration] = {}
    for columns, choice in zip(columns_of(choices), choices.values(), strict=True):
        fitted = 1.0
        if settings.calibration == "platt":
            fitted = temperature(logits[:, columns].astype(np.float64), truth[:, columns])
        calibration |= {label: Calibration(slope=round(1 / fitted, 6)) for label in choice}
    chosen_on: dict[str, Any] = {"split": split, "sentences": len(truth), "articles": len(set(articles))}
    chosen_on["positives"] = dict(zip(calibration, truth.sum(0).tolist(), strict=True))
    return Decision(
        labels=list(calibration),
        choices={aspect: list(choice) for aspect, choice in choices.items()},
        calibration=calibration,
        thresholds={},
        chosen_on=chosen_on,
    )
