"""Chooses thresholds and review bands for what a user wants of each label, and says what may be expected of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from inference.deciding import SCORE_DECIMALS, in_bands
from inference.outputs.read import output_rows, scores_of
from inference.predictor import Predictor
from netral.config import Config, DecisionSettings
from netral.errors import NetralError
from netral.model_folder import Decision, ModelFolder, open_model_folder
from netral.progress import say
from training.fitting.decision import best_threshold, sentence_weights
from training.fitting.folds import same_training, scores_file
from training.statistics.bands import review_bands
from training.statistics.bootstrap import GroupBootstrap
from training.statistics.evaluation import predict_split
from training.statistics.goals import Goal, goals_by_label
from training.statistics.slices import SMALL

_GRID = np.round(np.arange(0.01, 0.991, 0.01), 2)
# What is expected is measured on the tenth that a threshold was not chosen on, for each tenth of the groups.
_FOLDS = 10
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Scores of sentences that the model did not learn from.

    Attributes:
        source: What they are, for people.
        labels: Label names, the columns.
        scores: Calibrated probabilities, rounded as in labelling.
        truth: 0/1 of that shape.
        groups: The near-duplicate group of each sentence.
        articles: How many articles they are from.
    """

    source: str
    labels: tuple[str, ...]
    scores: np.ndarray
    truth: np.ndarray
    groups: list[str]
    articles: int


def held_out(folder: ModelFolder, data: Path | None, config: Config) -> HeldOut:
    """Return out-of-fold scores if the model has any beside it, else score the validation split of a data set.

    Scores that another training left there are not the model's: they are passed over with a warning.

    Raises:
        NetralError: There are none and no data set is named.
    """
    beside = scores_file(folder.path)
    if beside.is_file():
        if same_training(beside, folder.path):
            return _out_of_fold(beside, folder)
        say(f"decide: {beside} was not written by the training of {folder.path}, so it is left out; delete it", level="warning")
    if data is None:
        raise NetralError(f"{folder.path}: no {beside.name} with its out-of-fold scores beside it", "name its data set with --data")
    with Predictor(folder.path, batch_tokens=config.label.batch_tokens) as predictor:
        found = predict_split(predictor, data, "validation")
    return HeldOut("validation", found.labels, found.scores, found.truth, [str(g) for g in found.groups], len(set(found.articles)))


def _out_of_fold(path: Path, folder: ModelFolder) -> HeldOut:
    rows = pq.read_table(path).to_pydict()
    labels = folder.labels
    try:
        # Not from the logits: these are the encoder's alone, and a model of words may stand beside it.
        scores = np.array([[row[label] for label in labels] for row in rows["scores"]], dtype=float)
        truth = np.array([[int(label in names) for label in labels] for names in rows["labels"]])
        groups, articles, folds = [str(group) for group in rows["group"]], len(set(rows["article_id"])), len(set(rows["fold"]))
    except (KeyError, TypeError) as error:
        raise NetralError(f"{path}: not the out-of-fold scores of this model ({error})", "train the model again") from None
    return HeldOut(f"train and validation, out of {folds} folds", labels, np.round(scores, SCORE_DECIMALS), truth, groups, articles)


def choose_threshold(goal: Goal, scores: np.ndarray, truth: np.ndarray, weights: np.ndarray, groups: Sequence[str], seed: int) -> float:
    """Return the threshold of one label for a goal; 0.5 without a positive.

    ``f1`` takes the highest F1, averaged over bootstrap samples. ``precision=p`` takes the lowest threshold from which precision is p,
    which has the highest recall; if there is none, the most precise one. ``recall=r`` takes the highest threshold that reaches r.
    """
    if not truth.any():
        return 0.5
    if goal.kind == "f1" or goal.value is None:
        return best_threshold(scores, truth, weights, groups, DecisionSettings().bootstrap_samples, seed)
    given = (scores[:, None] >= _GRID) * weights[:, None]
    hits, chosen = (given * truth[:, None]).sum(axis=0), given.sum(axis=0)
    if goal.kind == "recall":
        reached = np.flatnonzero(hits / (truth * weights).sum() >= goal.value - 1e-12)
        return float(_GRID[reached[-1]] if len(reached) else _GRID[0])
    precision = np.where(chosen > 0, hits / np.where(chosen > 0, chosen, 1), -1)
    reached = np.flatnonzero(precision >= goal.value - 1e-12)
    return float(_GRID[reached[0]] if len(reached) else _GRID[int(precision.argmax())])


def expected(goal: Goal | None, threshold: float, held: HeldOut, k: int, weights: np.ndarray, config: Config) -> dict[str, Any]:
    """Return precision, recall, F1 and the share of sentences that get the label, with intervals, of a goal's thresholds.

    A threshold looks better on the sentences it was chosen on than on others. So the goal's threshold is chosen ten times without a tenth
    of the groups, and measured on that tenth. A threshold that was only kept is measured as it is.
    """
    scores, truth, seed = held.scores[:, k], held.truth[:, k], config.evaluate.seed
    given = (scores >= threshold).astype(int)
    if goal is not None:
        fold = _folds(held.groups, seed)
        for number in range(_FOLDS):
            out, rest = fold == number, fold != number
            groups = [group for group, keep in zip(held.groups, rest, strict=True) if keep]
            given[out] = scores[out] >= choose_threshold(goal, scores[rest], truth[rest], weights[rest], groups, seed)
    bootstrap = GroupBootstrap(held.groups, config.evaluate.bootstrap_samples, config.evaluate.confidence, seed)
    found: dict[str, Any] = {}
    for name, over, under in (
        ("precision", given * truth, given),
        ("recall", given * truth, truth),
        ("f1", 2 * given * truth, given + truth),
        ("share", given, np.ones_like(given)),
    ):
        rows = bootstrap.ratio((over * weights)[:, None], (under * weights)[:, None])[:, 0]
        counted = weights[under > 0]
        # Sentences that count for several are fewer than their weights add up to (Kish 1965).
        size = counted.sum() ** 2 / (counted**2).sum() if len(counted) else 0.0
        floor = bootstrap.wilson(rows[-1] * size, size) if size and name != "f1" else None
        found[name] = round(float(rows[-1]), _DIGITS) if np.isfinite(rows[-1]) else None
        found[f"{name}_interval"] = bootstrap.interval(rows, floor)
    return found


def _folds(groups: Sequence[str], seed: int) -> np.ndarray:
    names, owner = np.unique(groups, return_inverse=True)
    return np.random.default_rng(seed).permutation(len(names))[owner] % _FOLDS


def promise(goal: Goal | None, found: dict[str, Any], positives: int) -> str:
    """Say whether a goal is kept: only where the whole interval of what is expected reaches it, and never on fewer than ten positives."""
    if goal is None:
        return "threshold kept"
    if positives < SMALL:
        return f"not promised: {positives} positives"
    if goal.kind == "f1" or goal.value is None:
        return "best F1 here"
    value, (low, high) = found[goal.kind], found[f"{goal.kind}_interval"]
    if value is None or high < goal.value:
        return "not reached"
    if low >= goal.value:
        return "kept"
    return "not promised: may be lower"


def decide(
    model: Path, goals: Sequence[Goal], config: Config, *, data: Path | None = None, crawl: Path | None = None, per_day: float | None = None
) -> tuple[Decision, dict[str, Any]]:
    """Return the decision of a model for goals, and what may be expected of it.

    Args:
        model: The model folder; it is not changed.
        goals: What is wanted.
        config: ``decision.no_label_share`` says how many sentences of a crawl have no label, unless a crawl is given.
        data: The data set whose validation split is scored where there are no out-of-fold scores.
        crawl: An output of `netral label`, whose scores then say how many sentences fall into a review band.
        per_day: Sentences that a day brings; needed for review goals.

    Raises:
        NetralError: The goals do not fit the model, or nothing can be scored.
    """
    folder = open_model_folder(model)
    labels, old = folder.labels, folder.decision
    by_label, reviews = goals_by_label(goals, labels, review=False), goals_by_label(goals, labels, review=True)
    if set(old.thresholds) != set(labels):
        raise NetralError(
            f"{model}: gives the likeliest label and has no thresholds", "goals are for labels that do not exclude each other"
        )
    if reviews and per_day is None:
        raise NetralError("--goal review: how many sentences come in a day is not known", "pass --per-day N")
    held = held_out(folder, data, config)
    weights = sentence_weights(held.truth, config.decision.no_label_share)
    seed = config.evaluate.seed
    thresholds = {
        label: choose_threshold(by_label[label], held.scores[:, k], held.truth[:, k], weights, held.groups, seed)
        if label in by_label
        else old.thresholds[label]
        for k, label in enumerate(labels)
    }
    report: dict[str, Any] = {"source": held.source, "sentences": len(held.scores), "articles": held.articles, "labels": {}}
    for k, label in enumerate(labels):
        goal, positives = by_label.get(label), int(held.truth[:, k].sum())
        found = expected(goal, thresholds[label], held, k, weights, config)
        report["labels"][label] = {
            "goal": str(goal) if goal else "keep",
            "positives": positives,
            "before": old.thresholds[label],
            "threshold": thresholds[label],
            "expects": found,
            "promise": promise(goal, found, positives),
        }
    bands: dict[str, tuple[float, float]] = {}
    if reviews and per_day is not None:
        pool, pool_weights = (held.scores, weights) if crawl is None else _crawl_scores(crawl, labels)
        bands, ties = review_bands(reviews, thresholds, labels, pool, pool_weights, per_day)
        report["review"] = _review_figures(held, weights, thresholds, bands, pool, pool_weights, per_day)
        report["review"]["no_band"] = {label: {"goal": str(reviews[label]), "tied_per_day": round(tied, 1)} for label, tied in ties.items()}
    chosen_on = {
        "split": held.source,
        "sentences": len(held.scores),
        "articles": held.articles,
        "no_label_share": config.decision.no_label_share,
        "positives": {label: int(held.truth[:, k].sum()) for k, label in enumerate(labels)},
        "goals": {label: each["goal"] for label, each in report["labels"].items()},
        "expects": {label: each["expects"] for label, each in report["labels"].items()},
    }
    decision = Decision.model_validate({**old.model_dump(), "thresholds": thresholds, "review": bands, "chosen_on": chosen_on})
    return decision, report


def _crawl_scores(crawl: Path, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    scores = np.array([scores_of(where, row, labels) for where, row in output_rows(crawl, ("scores",))])
    if not len(scores):
        raise NetralError(f"{crawl}: holds no sentence", "name an output of `netral label`")
    return scores, np.ones(len(scores))


def _review_figures(
    held: HeldOut,
    weights: np.ndarray,
    thresholds: dict[str, float],
    bands: dict[str, tuple[float, float]],
    pool: np.ndarray,
    pool_weights: np.ndarray,
    per_day: float,
) -> dict[str, Any]:
    """Say how many sentences a day people will see, and which share of the wrong decisions is among them."""
    seen = in_bands(pool, bands, held.labels).any(axis=1)
    inside = in_bands(held.scores, bands, held.labels)
    wrong = (held.scores >= np.array([thresholds[label] for label in held.labels])) != held.truth.astype(bool)
    total = float((wrong * weights[:, None]).sum())
    return {
        "bands": {label: list(band) for label, band in bands.items()},
        "per_day": per_day,
        "to_review_per_day": round(float(pool_weights[seen].sum() / pool_weights.sum() * per_day), 1),
        "errors_among_them": round(float((wrong * inside * weights[:, None]).sum()) / total, _DIGITS) if total else None,
    }


def table_rows(report: dict[str, Any]) -> list[list[str]]:
    """Return the table of what is expected: a header row, and a row a label."""
    rows = [["label", "goal", "positives", "threshold", "precision", "recall", "sentences labelled", "promise"]]
    for label, each in report["labels"].items():
        found = each["expects"]
        precision, recall = (_cell(found, name) for name in ("precision", "recall"))
        threshold = (
            f"{each['before']:.2f} -> {each['threshold']:.2f}" if each["before"] != each["threshold"] else f"{each['threshold']:.2f}"
        )
        share = "–" if found["share"] is None else f"{found['share']:.1%}"
        rows.append([label, each["goal"], str(each["positives"]), threshold, precision, recall, share, each["promise"]])
    return rows


def _cell(found: dict[str, Any], name: str) -> str:
    low, high = found[f"{name}_interval"]
    return "–" if found[name] is None else f"{found[name]:.2f} [{low:.2f}, {high:.2f}]"
