"""Test sets drawn from a known world: do intervals hold the true value as often as they say, and do tests err as seldom?

`python -m training.statistics.simulation` prints the table of docs/evaluation.md.
"""

import sys
from dataclasses import dataclass

import numpy as np

from netral.tables import print_table
from training.evaluation.metrics import ArticleBootstrap
from training.statistics.bootstrap import GroupBootstrap
from training.statistics.compare import difference_of_f1, smallest_difference


@dataclass(frozen=True, slots=True)
class Label:
    """One label of the simulated world: how often it holds, and how often the model finds it and gives it wrongly."""

    rate: float
    recall: float
    false_rate: float


# About the four labels of the gold corpus and the figures of the default model.
LABELS = (Label(0.16, 0.90, 0.02), Label(0.08, 0.77, 0.02), Label(0.08, 0.80, 0.015), Label(0.10, 0.985, 0.003))
# For the power of the comparison: a label that leaves room to be better.
_WEAK = Label(0.12, 0.60, 0.02)
# Correlation of two sentences of one article: in holding a label, and in being labelled rightly.
_HOLDS, _RIGHT = 0.15, 0.10


def draw(rng: np.random.Generator, articles: int, labels: tuple[Label, ...] = LABELS) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Return the article of each sentence, the truth and what a model gives, both 0/1 of shape (sentences, labels)."""
    sizes = 4 + rng.poisson(8.5, articles)
    owner = np.repeat(np.arange(articles), sizes)
    truth, given = [], []
    for label in labels:
        holds, found, wrong = (
            _beta(rng, mean, like, articles)[owner]
            for mean, like in ((label.rate, _HOLDS), (label.recall, _RIGHT), (label.false_rate, _RIGHT / 2))
        )
        yes = rng.random(len(owner)) < holds
        truth.append(yes)
        given.append(rng.random(len(owner)) < np.where(yes, found, wrong))
    return owner.tolist(), np.column_stack(truth).astype(int), np.column_stack(given).astype(int)


def _beta(rng: np.random.Generator, mean: float, correlation: float, size: int) -> np.ndarray:
    spread = 1 / correlation - 1
    return rng.beta(mean * spread, (1 - mean) * spread, size)


def true_figures(labels: tuple[Label, ...] = LABELS) -> dict[str, np.ndarray]:
    """Return F1, precision and recall of the simulated model over all articles there could be."""
    rate, recall, wrong = (np.array([getattr(label, name) for label in labels]) for name in ("rate", "recall", "false_rate"))
    hits, false = rate * recall, (1 - rate) * wrong
    precision = hits / (hits + false)
    return {"f1": 2 * precision * recall / (precision + recall), "precision": precision, "recall": recall}


def coverage(articles: int, trials: int, samples: int = 1000, seed: int = 13) -> dict[str, dict[str, list[float]]]:
    """Return for both bootstraps and each figure the share of 95 % intervals that hold the true value: a list over labels."""
    world = true_figures()
    rng = np.random.default_rng(seed)
    held: dict[str, dict[str, np.ndarray]] = {kind: {name: np.zeros(1) for name in (*world, "macro_f1")} for kind in ("percentile", "BCa")}
    for _ in range(trials):
        owner, truth, given = draw(rng, articles)
        for kind, found in _intervals(owner, truth, given, samples).items():
            for name, intervals in found.items():
                value = np.array([world["f1"].mean()]) if name == "macro_f1" else world[name]
                held[kind][name] = held[kind][name] + ((intervals[:, 0] <= value) & (value <= intervals[:, 1]))
    return {kind: {name: (hits / trials).round(3).tolist() for name, hits in each.items()} for kind, each in held.items()}


def _intervals(owner: list[int], truth: np.ndarray, given: np.ndarray, samples: int) -> dict[str, dict[str, np.ndarray]]:
    new = GroupBootstrap(owner, samples, 0.95, 1)
    rows = {"f1": new.f1(given, truth), "precision": new.ratio(given * truth, given), "recall": new.ratio(given * truth, truth)}
    hits, chosen, positives = (given * truth).sum(0), given.sum(0), truth.sum(0)
    floors = {
        "f1": [new.f1_floor(*counts) for counts in zip(hits, chosen, positives, strict=True)],
        "precision": [new.wilson(*counts) for counts in zip(hits, chosen, strict=True)],
        "recall": [new.wilson(*counts) for counts in zip(hits, positives, strict=True)],
    }
    old = ArticleBootstrap([str(each) for each in owner], samples, 0.95, 1)
    found: dict[str, dict[str, np.ndarray]] = {"percentile": {}, "BCa": {}}
    for name, values in rows.items():
        columns = range(values.shape[1])
        # The same draws: the first rows are those of the plain bootstrap, in which an undefined figure counts as 0.
        found["percentile"][name] = np.array([old.interval(np.nan_to_num(values[:samples, k])) for k in columns])
        found["BCa"][name] = np.array([new.interval(values[:, k], floors[name][k]) for k in columns])
    macro = rows["f1"].mean(axis=1)
    found["percentile"]["macro_f1"] = np.array([old.interval(macro[:samples])])
    found["BCa"]["macro_f1"] = np.array([new.macro_f1_interval(given, truth)])
    return found


def power(articles: int, trials: int, permutations: int = 1000, seed: int = 13) -> dict[str, float]:
    """Return how often two models are called different: equal ones, and ones that differ by the smallest difference that can be shown."""
    rng = np.random.default_rng(seed)
    label = _WEAK
    smallest, false_alarms = [], 0
    for trial in range(trials):
        p_value, least = _test(rng, articles, label, label, permutations, trial)
        false_alarms += p_value < 0.05
        smallest.append(least)
    wanted = float(np.mean(smallest))
    better = _improved(label, wanted)
    found = sum(_test(rng, articles, label, better, permutations, trial)[0] < 0.05 for trial in range(trials))
    return {"false_alarms": false_alarms / trials, "smallest_difference": round(wanted, 4), "found": found / trials}


def _improved(label: Label, by: float) -> Label:
    """Return the label with a recall that makes F1 better by so much (by bisection)."""
    low, high, base = label.recall, 1.0, true_figures((label,))["f1"][0]
    for _ in range(40):
        middle = (low + high) / 2
        reached = true_figures((Label(label.rate, middle, label.false_rate),))["f1"][0] - base >= by
        low, high = (low, middle) if reached else (middle, high)
    return Label(label.rate, high, label.false_rate)


def _test(rng: np.random.Generator, articles: int, one: Label, other: Label, permutations: int, seed: int) -> tuple[float, float]:
    """Compare two models that err independently of each other on the same sentences."""
    owner, truth, _ = draw(rng, articles, (one,))
    answers = []
    for label in (one, other):
        found, wrong = (_beta(rng, mean, like, articles)[owner] for mean, like in ((label.recall, _RIGHT), (label.false_rate, _RIGHT / 2)))
        answers.append((rng.random(len(owner)) < np.where(truth[:, 0], found, wrong)).astype(int)[:, None])
    bootstrap = GroupBootstrap(owner, permutations, 0.95, seed)
    rows = bootstrap.f1(answers[1], truth)[:, 0] - bootstrap.f1(answers[0], truth)[:, 0]
    p_values = difference_of_f1(owner, truth, answers[0], answers[1], permutations, seed)
    return float(p_values[0]), smallest_difference(rows[:permutations])


def main(trials: int = 1000) -> None:
    """Print coverage for small, medium and large test sets, and the error rates of the comparison."""
    rows = [["articles", "interval", "F1", "precision", "recall", "macro F1"]]
    for articles in (30, 58, 240):
        for kind, found in coverage(articles, trials).items():
            rows.append([str(articles), kind, *(" ".join(f"{value:.3f}" for value in found[name]) for name in found)])
    print_table(rows, stderr=False)
    for articles in (58, 240):
        each = power(articles, trials)
        print(
            f"{articles} articles: equal models called different {each['false_alarms']:.3f}; "
            f"models {each['smallest_difference']:.3f} apart called different {each['found']:.3f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
