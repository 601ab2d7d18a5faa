"""Scores every sentence of train and validation with a model that was trained without it: out-of-fold scores."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from netral.config import Config
from netral.io.paths import replacing_file
from netral.model_folder import Decision
from netral.progress import say
from netral.provenance import RUN_FILE
from training.data.dataset import LabelledSentences
from training.data.partition import partition

# Trains on the first rows, in the folder, and returns the logits of the second; what a model of words says follows as further columns.
FoldLogits = Callable[[LabelledSentences, LabelledSentences, Path], np.ndarray]
_TRAINING = b"netral_training"


@dataclass(frozen=True, slots=True)
class FoldScores:
    """Logits of sentences that their model was not trained on.

    Attributes:
        rows: The sentences.
        logits: Shape (sentences, labels).
        words: What the linear model of words says, of that shape; None without one.
        folds: The fold of each sentence; empty where they are the validation split.
    """

    rows: LabelledSentences
    logits: np.ndarray
    words: np.ndarray | None = None
    folds: tuple[int, ...] = ()

    @property
    def chosen_on(self) -> str:
        """What decision.json says that calibration and thresholds were chosen on."""
        return f"train and validation, out of {len(set(self.folds))} folds" if self.folds else "validation"


def assign_folds(rows: LabelledSentences, labels: list[str], folds: int, seed: int) -> list[int]:
    """Return the fold of each sentence; near-duplicate groups stay whole, and every label is spread evenly."""
    names = [[label for k, label in enumerate(labels) if truth[k]] for truth in rows.truth]
    placed = partition(rows.groups, names, {str(fold): 1 / folds for fold in range(folds)}, seed)
    return [int(placed[group]) for group in rows.groups]


def out_of_fold(config: Config, train: LabelledSentences, validation: LabelledSentences, work: Path, fold_logits: FoldLogits) -> FoldScores:
    """Score train and validation out of fold.

    What each fold gave is kept in ``work``, so that a run that was stopped goes on with the fold it was at. Rows with soft labels or
    a weight below 1 are trained on but never scored: no person has said what is right for them.
    """
    gold = (train.targets == train.truth).all(axis=1) & (train.weights >= 1)
    rows, silver = train.take(np.flatnonzero(gold).tolist()) + validation, train.take(np.flatnonzero(~gold).tolist())
    folds = assign_folds(rows, config.label_names, config.decision.folds, config.train.seed)
    count = len(config.label_names)
    logits = np.zeros((len(rows), 2 * count if config.model.lexical else count))
    for fold in range(config.decision.folds):
        held = [row for row, each in enumerate(folds) if each == fold]
        kept = work / f"fold-{fold}.npy"
        if not kept.is_file():
            others = [row for row, each in enumerate(folds) if each != fold]
            say(f"fold {fold + 1} of {config.decision.folds}: {len(others)} sentences to train on, {len(held)} to score")
            folder = work / "fold"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            apart = set(rows.take(held).groups)
            besides = silver.take([row for row, group in enumerate(silver.groups) if group not in apart])
            found = fold_logits(rows.take(others) + besides, rows.take(held), folder)
            shutil.rmtree(folder)
            with replacing_file(kept) as path, path.open("wb") as stream:
                np.save(stream, found, allow_pickle=False)
        logits[held] = np.load(kept, allow_pickle=False)
    return FoldScores(rows, logits[:, :count], logits[:, count:] if config.model.lexical else None, tuple(folds))


def scores_file(model: Path) -> Path:
    """Return where the out-of-fold scores of a model folder lie: beside it."""
    return model.with_name(f"{model.name}.out-of-fold.parquet")


def same_training(scores: Path, model: Path) -> bool:
    """Tell whether out-of-fold scores and a model folder say that one training wrote both."""
    try:
        written: str = pq.read_schema(scores).metadata[_TRAINING].decode()
        return bool(written == json.loads((model / RUN_FILE).read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return False


def write_scores(path: Path, scores: FoldScores, decision: Decision, training: str) -> None:
    """Write out-of-fold scores as Parquet: a row a sentence, with its fold, gold labels, logits and calibrated probabilities.

    ``training`` is the fingerprint that the model's run.json has too, so that scores of an earlier training are known for what they are.
    """
    labels = decision.labels
    slopes = np.array([decision.calibration[label].slope for label in labels])
    offsets = np.array([decision.calibration[label].offset for label in labels])
    shares = np.array([decision.calibration[label].lexical for label in labels])
    stacked = scores.logits if scores.words is None else scores.logits + shares * scores.words
    probabilities = 1 / (1 + np.exp(-np.clip(slopes * stacked + offsets, -60, 60)))
    rows = [
        {
            "sentence_id": scores.rows.sentence_ids[i],
            "article_id": scores.rows.articles[i],
            "group": scores.rows.groups[i],
            "fold": scores.folds[i],
            "sentence": scores.rows.sentences[i],
            "labels": [label for k, label in enumerate(labels) if scores.rows.truth[i, k]],
            "logits": dict(zip(labels, map(float, scores.logits[i]), strict=True)),
            "scores": dict(zip(labels, map(float, probabilities[i]), strict=True)),
        }
        for i in range(len(scores.rows))
    ]
    by_label = pa.struct([(label, pa.float64()) for label in labels])
    schema = pa.schema(
        [
            ("sentence_id", pa.string()),
            ("article_id", pa.string()),
            ("group", pa.int64()),
            ("fold", pa.int64()),
            ("sentence", pa.string()),
            ("labels", pa.list_(pa.string())),
            ("logits", by_label),
            ("scores", by_label),
        ],
        metadata={_TRAINING: training},
    )
    with replacing_file(path) as target:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), target, compression="zstd")
