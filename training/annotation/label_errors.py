"""Finds likely errors among labels: those that a model fitted on other articles is surest are wrong.

The ranking is the lowest probability of a label as given. docs/annotation.md compares it with cleanlab's on planted errors.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import refuse_existing, replacing_file
from netral.io.streams import read_lines
from netral.text import model_text
from training.annotation.formats.common import write_lines
from training.data.partition import SPLITS
from training.evaluation.baselines import tfidf_pipeline

_DIGITS = 3


@dataclass(frozen=True, slots=True)
class LabelledData:
    """All splits of a prepared data set together.

    Attributes:
        rows: The rows as they stand in the Parquet files, each with its split.
        truth: The labels given, 0/1 of shape (sentences, labels).
        groups: The near-duplicate group of each sentence.
    """

    rows: list[dict[str, Any]]
    truth: np.ndarray
    groups: np.ndarray


def find_errors(
    data: Path, out: Path, config: Config, *, scores: Path | None = None, encoder: bool = False, overwrite: bool = False
) -> list[dict[str, Any]]:
    """Rank the sentences of a prepared data set by how likely one of their labels is wrong; write and return the ranking.

    Args:
        data: A data set made by `netral prepare`; all its splits are ranked.
        out: JSON lines, the likeliest error first.
        config: The labels, and the section `annotate`.
        scores: Probabilities of your own instead: rows with sentence_id and scores, by models that did not see the sentence.
        encoder: Average the probabilities of TF-IDF with those of a linear model on the encoder's mean outputs.
        overwrite: Replace an output that exists.

    Raises:
        NetralError: The data set or the scores are missing or do not fit, or the output exists.
    """
    refuse_existing(out, overwrite)
    labelled = load_all(data, config.label_names)
    probabilities = read_scores(scores, labelled.rows, config.label_names) if scores else out_of_fold(labelled, config, encoder)
    found = [_row(labelled, i, probabilities, config.label_names) for i in rank(probabilities, labelled.truth)]
    with replacing_file(out) as beside:
        write_lines(beside, found)
    return found


def rank(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the sentences in the order of the least probability that any of their labels, given or not given, is right.

    >>> rank(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[1, 0], [1, 1]])).tolist()
    [1, 0]
    """
    return np.argsort(confidence(probabilities, truth).min(axis=1), kind="stable")


def confidence(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the probability of each label as it was given, 0/1."""
    return np.where(truth == 1, probabilities, 1 - probabilities)


def _row(data: LabelledData, i: int, probabilities: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    row = data.rows[i]
    sure = confidence(probabilities[i], data.truth[i])
    k = int(sure.argmin())
    return {
        **{name: row[name] for name in ("article_id", "sentence_id", "start", "end", "sentence", "labels", "split")},
        "doubt": {"label": labels[k], "given": bool(data.truth[i, k]), "probability_right": round(float(sure[k]), _DIGITS)},
        "scores": {label: round(float(p), _DIGITS) for label, p in zip(labels, probabilities[i], strict=True)},
    }


def load_all(data: Path, labels: Sequence[str]) -> LabelledData:
    """Load the splits of a prepared data set.

    Raises:
        NetralError: The folder is no prepared data set, or holds a label that is not known.
    """
    rows: list[dict[str, Any]] = []
    for split in SPLITS:
        path = data / f"{split}.parquet"
        if not path.is_file():
            raise NetralError(f"{data}: no prepared data set, {path.name} is missing", "make it with `netral prepare INPUT... --out DIR`")
        rows += [{**row, "split": split} for row in pq.read_table(path).to_pylist()]
    strange = sorted({label for row in rows for label in row["labels"]} - set(labels))
    if strange:
        raise NetralError(f"{data}: label {strange[0]} is not in the configuration", f"known labels: {', '.join(labels)}")
    truth = np.array([[int(label in row["labels"]) for label in labels] for row in rows], dtype=int)
    return LabelledData(rows, truth, np.array([row["group"] for row in rows]))


def out_of_fold(data: LabelledData, config: Config, encoder: bool) -> np.ndarray:
    """Return the probability of each label by models that saw no sentence of the same near-duplicate group.

    Raises:
        NetralError: There are fewer groups than folds.
    """
    folds, seed = config.annotate.folds, config.annotate.seed
    if len(np.unique(data.groups)) < folds:
        raise NetralError(
            f"{len(np.unique(data.groups))} groups of articles, {folds} folds", "label more articles, or lower annotate.folds"
        )
    texts = np.array([model_text(row["sentence"]) for row in data.rows], dtype=object)
    views: list[tuple[np.ndarray, Pipeline]] = [(texts, tfidf_pipeline(seed))]
    if encoder:
        from training.annotation.pooled import mean_outputs

        # C=0.01: 384 standardised outputs for some two thousand sentences need a strong prior.
        linear = LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
        views.append((mean_outputs(texts.tolist(), config), make_pipeline(StandardScaler(), OneVsRestClassifier(linear))))
    total = np.zeros(data.truth.shape)
    for features, model in views:
        for train, held in GroupKFold(folds, shuffle=True, random_state=seed).split(features, groups=data.groups):
            total[held] += _fitted(model, features[train], data.truth[train], features[held])
    return total / len(views)


def _fitted(model: Pipeline, train: np.ndarray, truth: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Fit on the labels that occur both ways in these folds; one that never or always occurs there is what it was."""
    out = np.tile(truth.mean(axis=0), (len(held), 1))
    both = np.flatnonzero((truth.min(axis=0) == 0) & (truth.max(axis=0) == 1))
    if len(both):
        # With a single label scikit-learn returns a column for "no" before the one for "yes".
        out[:, both] = model.fit(train, truth[:, both]).predict_proba(held)[:, -len(both) :]
    return out


def read_scores(path: Path, rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> np.ndarray:
    """Read probabilities of one's own for the sentences of a data set; several rows of a sentence are averaged.

    Raises:
        NetralError: A row is damaged, or a sentence has no scores.
    """
    found: dict[str, list[list[float]]] = {}
    for line in read_lines(path, 10_000_000):
        if not line.reason and not line.data.strip():
            continue
        try:
            row = json.loads(line.data)
            found.setdefault(str(row["sentence_id"]), []).append([float(row["scores"][label]) for label in labels])
        except (ValueError, TypeError, KeyError) as error:
            raise NetralError(
                f"{path}:{line.row}: no scores ({line.reason or error})", "each row needs sentence_id and scores, one for each label"
            ) from None
    missing = next((row["sentence_id"] for row in rows if row["sentence_id"] not in found), None)
    if missing is not None:
        raise NetralError(f"{path}: no scores for the sentence {missing}", "score every sentence of the data set")
    return np.array([np.mean(found[row["sentence_id"]], axis=0) for row in rows])
