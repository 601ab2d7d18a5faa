"""What `evaluate` reports beside its headline figures, put together here."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from inference.predictor import Predictor
from netral.config import Config
from training.data.choices import Choices
from training.data.dataset import LabelledSentences, load_split
from training.evaluation.metrics import average_precision_of
from training.statistics.bootstrap import GroupBootstrap
from training.statistics.curves import reliability, threshold_curves
from training.statistics.leaks import no_random_split, random_split, similarities, similarity_figures
from training.statistics.predictions import Predictions
from training.statistics.slices import slice_figures, slice_values

_DIGITS = 4


def predictions_of(held: LabelledSentences, given: np.ndarray, scores: np.ndarray, labels: Sequence[str], choices: Choices) -> Predictions:
    """Put what a model answered beside the sentences."""
    return Predictions(
        labels=tuple(labels),
        sentence_ids=held.sentence_ids,
        articles=held.articles,
        groups=held.groups,
        sentences=held.words,
        truth=held.truth,
        given=given,
        scores=scores,
        choices={aspect: list(choice) for aspect, choice in choices.items()},
    )


def predict_split(predictor: Predictor, data: Path, split: str) -> Predictions:
    """Label a split of a prepared data set.

    Raises:
        NetralError: The data set is missing or does not fit the model.
    """
    choices = predictor.folder.decision.choices
    held = load_split(data, split, predictor.labels, choices, predictor.pairs)
    answers = predictor.predict(held.inputs)
    given = np.array([[int(label in answer.labels) for label in predictor.labels] for answer in answers])
    scores = np.array([[answer.scores[label] for label in predictor.labels] for answer in answers])
    return predictions_of(held, given, scores, predictor.labels, choices)


def label_intervals(given: np.ndarray, truth: np.ndarray, labels: Sequence[str], bootstrap: GroupBootstrap) -> dict[str, dict[str, Any]]:
    """Return the intervals of F1, precision and recall of each label."""
    hits, chosen, positives = (given * truth).sum(0), given.sum(0), truth.sum(0)
    f1, precision, recall = bootstrap.f1(given, truth), bootstrap.ratio(given * truth, given), bootstrap.ratio(given * truth, truth)
    return {
        label: {
            "f1_interval": bootstrap.interval(f1[:, k], bootstrap.f1_floor(hits[k], chosen[k], positives[k])),
            "precision_interval": bootstrap.interval(precision[:, k], bootstrap.wilson(hits[k], chosen[k])),
            "recall_interval": bootstrap.interval(recall[:, k], bootstrap.wilson(hits[k], positives[k])),
        }
        for k, label in enumerate(labels)
    }


def share_interval(kept: np.ndarray, of: np.ndarray, bootstrap: GroupBootstrap) -> list[float]:
    """Return the interval of a share of sentences, given as 0/1 for each."""
    rows = bootstrap.ratio(kept[:, None].astype(float), of[:, None].astype(float))[:, 0]
    return bootstrap.interval(rows, bootstrap.wilson(kept.sum(), of.sum()))


def average_precision_figures(found: Predictions, bootstrap: GroupBootstrap) -> dict[str, Any]:
    """Return average precision per label and its mean over labels with a positive, with intervals."""
    figures: dict[str, Any] = average_precision_of(found.scores, found.truth, found.labels)
    rows, positives = bootstrap.average_precision(found.scores, found.truth), found.truth.sum(0)
    # It is a mean over the positives, of values from 0 to 1: Wilson's interval is that of the widest such values.
    figures["label_intervals"] = {
        label: bootstrap.interval(rows[:, k], bootstrap.wilson(rows[-1, k] * positives[k], positives[k])) if positives[k] else None
        for k, label in enumerate(found.labels)
    }
    known = rows[:, positives > 0]
    figures["macro_average_precision_interval"] = bootstrap.interval(known.mean(axis=1)) if known.shape[1] else [0.0, 1.0]
    return figures


def more_figures(data: Path, split: str, found: Predictions, pairs: bool, config: Config, bootstrap: GroupBootstrap) -> dict[str, Any]:
    """Return reliability, threshold curves, slices and the leak figures of a split."""
    near, reason = similarities(data, found.sentence_ids), no_random_split(data, found.choices)
    return {
        "reliability": reliability(found.scores, found.truth, found.labels, bootstrap),
        "threshold_curves": threshold_curves(found.scores, found.truth, found.labels, bootstrap),
        "slices": _slices(data / f"{split}.parquet", found, near, config.evaluate.slices, bootstrap),
        "leaks": {
            "similarity": None if near is None else similarity_figures(near),
            "random_split": None if reason else random_split(data, found.labels, pairs, config),
            **({"no_random_split": reason} if reason else {}),
        },
    }


def _slices(path: Path, found: Predictions, near: np.ndarray | None, names: Sequence[str], bootstrap: GroupBootstrap) -> dict[str, Any]:
    firsts, metas = _read_context(path)
    slices: dict[str, Any] = {}
    for name in names:
        values = slice_values(name, found.sentences, firsts, metas, near)
        slices[name] = None
        if values is not None:
            slices[name] = slice_figures(values, found.given, found.truth, found.labels, found.groups, bootstrap)
    return slices


def _read_context(path: Path) -> tuple[list[bool], list[Mapping[str, Any]]]:
    """Return of each sentence of a split whether it is the first of its article, and its record's fields."""
    columns = pq.read_table(path, columns=["article_id", "start", "meta"]).to_pydict()
    first: dict[str, int] = {}
    for article, start in zip(columns["article_id"], columns["start"], strict=True):
        first[article] = min(start, first.get(article, start))
    firsts = [start == first[article] for article, start in zip(columns["article_id"], columns["start"], strict=True)]
    return firsts, [json.loads(text or "{}") for text in columns["meta"]]
