"""Evaluation reports made of drawn answers, without a model, and what a page says, read back out of its HTML and SVG."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lxml import html

from training.evaluation.metrics import calibration_of
from training.report.page import report_page
from training.statistics.bootstrap import GroupBootstrap
from training.statistics.curves import reliability, threshold_curves
from training.statistics.evaluation import average_precision_figures, label_intervals
from training.statistics.predictions import Predictions
from training.statistics.slices import length_of, slice_figures

NUMBER = r"-?\d+(?:\.\d+)?"


def drawn(labels=("a", "b", "c"), sentences=300, choices=None, seed=3, rate=0.3, per_article=5) -> Predictions:
    """Draw answers: scores that know something of the truth, of 6, 15 or 30 words."""
    rng = np.random.default_rng(seed)
    shape = (sentences, len(labels))
    truth = (rng.random(shape) < rate).astype(int)
    if choices:
        truth = _one_of_each(rng.random(shape), labels, choices)
    scores = np.round(np.clip(0.25 + 0.5 * truth + rng.normal(0, 0.25, shape), 0, 1), 3)
    given = _one_of_each(scores, labels, choices) if choices else (scores >= 0.5).astype(int)
    owner = [i // per_article for i in range(sentences)]
    texts = [" ".join(["kata"] * (6, 15, 30)[i % 3]) + f" {i}." for i in range(sentences)]
    ids = [f"art-{i // per_article}:{i}" for i in range(sentences)]
    return Predictions(tuple(labels), ids, [f"art-{o}" for o in owner], owner, texts, truth, given, scores, choices or {})


def _one_of_each(scores, labels, choices):
    out = np.zeros(scores.shape, dtype=int)
    for names in choices.values():
        columns = [labels.index(name) for name in names]
        out[np.arange(len(scores)), np.array(columns)[scores[:, columns].argmax(axis=1)]] = 1
    return out


def drawn_report(found: Predictions, samples=60, slices=None) -> dict:
    """Build what `evaluate` writes as report.json of these answers, with a baseline that gives the first label always."""
    boot = GroupBootstrap(found.groups, samples, 0.95, 1)
    often = np.zeros_like(found.given)
    often[:, 0] = 1
    values = {"length": [length_of(text) for text in found.sentences], "outlet": None, **(slices or {})}
    single = {"choices": found.choices} if found.choices else {}
    return {
        "model": {"fingerprint": "0" * 16, "thresholds": {} if single else dict.fromkeys(found.labels, 0.5), **single},
        "data": {
            "split": "test",
            "sentences": len(found),
            "articles": len(set(found.articles)),
            "groups": len(set(found.groups)),
            "no_label": int((found.truth.sum(1) == 0).sum()),
            "support": dict(zip(found.labels, found.truth.sum(0).tolist(), strict=True)),
        },
        "interval": {"confidence": 0.95, "method": "BCa", "samples": samples},
        "systems": {"model": _system(found, found.given, boot), "majority" if single else "rules": _system(found, often, boot)},
        "average_precision": average_precision_figures(found, boot),
        "calibration": calibration_of(found.scores, found.truth, found.labels, boot),
        "empty_kept": None if single else {"kept": 3, "of": 4, "share": 0.75, "interval": [0.3, 0.95]},
        "macro_f1_difference": {"majority" if single else "rules": {"difference": 0.1, "interval": [0.05, 0.15]}},
        "citations": None,
        "truncated": 0,
        "speed": {"sentences_per_second": 100.0, "backend": "torch"},
        "reliability": reliability(found.scores, found.truth, found.labels, boot),
        "threshold_curves": threshold_curves(found.scores, found.truth, found.labels, boot),
        "slices": {
            name: None if each is None else slice_figures(each, found.given, found.truth, found.labels, found.groups, boot)
            for name, each in values.items()
        },
        "leaks": {"similarity": None, "random_split": None, "no_random_split": "it is drawn"},
    }


def _system(found: Predictions, given: np.ndarray, boot: GroupBootstrap) -> dict:
    intervals = label_intervals(given, found.truth, found.labels, boot)
    hits, chosen, positives = (given * found.truth).sum(0), given.sum(0), found.truth.sum(0)
    labels = {
        label: {
            "f1": float(2 * hits[k] / max(chosen[k] + positives[k], 1)),
            "precision": float(hits[k] / max(chosen[k], 1)),
            "recall": float(hits[k] / max(positives[k], 1)),
            "support": int(positives[k]),
            "predicted": int(chosen[k]),
            **intervals[label],
        }
        for k, label in enumerate(found.labels)
    }
    macro = float(np.mean([each["f1"] for each in labels.values()]))
    whole = {"macro_f1": macro, "micro_f1": 0.5, "exact_match": 0.4, **({"accuracy": 0.5} if found.choices else {})}
    return {**whole, **{f"{name}_interval": [0.25, 0.75] for name in whole}, "labels": labels}


def write_page(path: Path, found: Predictions, report: dict | None = None, changed: dict | None = None) -> Path:
    """Write the page of these answers."""
    path.write_text(report_page(report or drawn_report(found), found, [], changed), encoding="utf-8")
    return path


@dataclass
class Plot:
    """A plot of a page: the grid says where its values lie."""

    svg: html.HtmlElement

    def drawn(self, class_: str) -> list:
        return [each for each in self.svg.iter() if set(class_.split()) <= set((each.get("class") or "").split())]

    def _grid(self, pattern: str) -> list[float]:
        return [float(found[1]) for each in self.drawn("grid") if (found := re.fullmatch(pattern, each.get("d")))]

    def x(self, place: float) -> float:
        low, *_, high = self._grid(rf"M({NUMBER}) {NUMBER}V{NUMBER}")
        return (place - low) / (high - low)

    def y(self, place: float) -> float:
        low, *_, high = self._grid(rf"M{NUMBER} ({NUMBER})H{NUMBER}")
        return (place - low) / (high - low)

    def circles(self) -> list[tuple[float, float]]:
        return [(float(each.get("cx")), float(each.get("cy"))) for each in self.drawn("mark") if each.tag == "circle"]

    def whiskers(self) -> list[list[float]]:
        """Return x, y, x, y of both ends of each."""
        return [[float(n) for n in re.findall(NUMBER, each.get("d"))][:4] for each in self.drawn("whisker")]

    def steps(self) -> np.ndarray:
        """Return precision and recall of each step of a precision-recall curve."""
        (curve,) = self.drawn("curve steps")
        return np.array([(self.y(float(v)), self.x(float(h))) for v, h in re.findall(rf"V({NUMBER})H({NUMBER})", curve.get("d"))])


class Page:
    """A page, read."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        self.root = html.fromstring(self.text)

    def plot(self, title: str) -> Plot:
        (found,) = [each for each in self.root.iter("svg") if each.findtext("title") == title]
        return Plot(found)

    def section(self, name: str) -> html.HtmlElement:
        return self.root.get_element_by_id(name)

    def tables(self, section: str) -> list[list[list[str]]]:
        return [
            [[" ".join(_shown(cell).split()) for cell in row if cell.tag in ("td", "th")] for row in table.iter("tr")]
            for table in self.section(section).iter("table")
        ]


def _shown(cell: html.HtmlElement) -> str:
    return "" if cell.find(".//svg") is not None else cell.text_content()
