"""What the report's page says and draws, section by section, for its templates."""

from typing import Any
from urllib.parse import quote

from training.report.markdown import rate, table_rows, three, verdict, weakest_label, with_interval
from training.report.plots import (
    f1_dots,
    precision_recall_legend,
    precision_recall_plot,
    reliability_legend,
    reliability_plot,
    system_legend,
    threshold_legend,
    threshold_plot,
)
from training.statistics.curves import precision_recall_points
from training.statistics.predictions import Predictions

# Labels beyond these are folded up: the page of a task of twenty labels stays short.
_OPEN = 6


def errors_link(label: str) -> str:
    """Return the address within the page of a label's errors.

    >>> errors_link("price:good")
    '#errors=price%3Agood'
    """
    return "#errors=" + quote(label, safe="", errors="replace")


def headline(report: dict[str, Any], found: Predictions) -> dict[str, Any]:
    """Return the verdict, the weakest label, the table and the plot of F1, and the figures of the whole."""
    systems, model = report["systems"], report["systems"]["model"]
    header, *rows = table_rows(report)
    dots = [
        (label, {name: (s["labels"][label]["f1"], s["labels"][label]["f1_interval"]) for name, s in systems.items()})
        for label in found.labels
    ]
    dots.append(("macro F1", {name: (s["macro_f1"], s["macro_f1_interval"]) for name, s in systems.items()}))
    return {
        "macro_f1": with_interval(model["macro_f1"], model["macro_f1_interval"]),
        "verdict": verdict(report),
        "weakest": _weakest(report, found),
        "header": header,
        "rows": rows,
        "labels": len(found.labels),
        "dots": f1_dots(dots),
        "legend": system_legend(list(systems)),
        "facts": _facts(report),
    }


def _weakest(report: dict[str, Any], found: Predictions) -> dict[str, Any] | None:
    label = weakest_label(report)
    if label is None:
        return None
    figures = report["systems"]["model"]["labels"][label]
    return {"label": label, "f1": with_interval(figures["f1"], figures["f1_interval"]), **_errors(found, label)}


def _errors(found: Predictions, label: str) -> dict[str, Any]:
    """Return how often a label was missed and wrongly given, and where its errors stand."""
    k = found.labels.index(label)
    truth, given = found.truth[:, k].astype(bool), found.given[:, k].astype(bool)
    return {
        "support": int(truth.sum()),
        "missed": int((truth & ~given).sum()),
        "wrong": int((given & ~truth).sum()),
        "link": errors_link(label),
    }


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    model, precision, kept = report["systems"]["model"], report["average_precision"], report["empty_kept"]
    worst = max(report["calibration"], key=lambda label: report["calibration"][label]["ece"])
    error = report["calibration"][worst]
    facts = [("exact match", with_interval(model["exact_match"], model["exact_match_interval"]))]
    if kept and kept["of"]:
        share = with_interval(kept["share"], kept["interval"])
        facts.append(("sentences without a label that stay without one", f"{kept['kept']} of {kept['of']}: {share}"))
    macro = with_interval(precision["macro_average_precision"], precision["macro_average_precision_interval"])
    return [
        *facts,
        ("macro average precision", macro),
        ("largest calibration error", f"{three(error['ece'], error['ece_interval'])}, {worst}"),
        ("pairs cut to what the model reads" if report["data"].get("pairs") else "sentences read in windows", str(report["truncated"])),
        ("speed", f"{report['speed']['sentences_per_second']:.0f} sentences/s ({report['speed']['backend']})"),
    ]


def label_cards(report: dict[str, Any], found: Predictions) -> list[dict[str, Any]]:
    """Return figures and plots of each label."""
    return [_card(report, found, k, label) for k, label in enumerate(found.labels)]


def _card(report: dict[str, Any], found: Predictions, k: int, label: str) -> dict[str, Any]:
    systems = {name: each["labels"][label] for name, each in report["systems"].items()}
    model, threshold = systems["model"], report["model"]["thresholds"].get(label)
    average = report["average_precision"]
    ap, calibration, curve = average["labels"][label], report["calibration"][label], report["threshold_curves"][label]
    card = {
        "label": label,
        "series": k % 8,
        "open": k < _OPEN,
        "f1": with_interval(model["f1"], model["f1_interval"]),
        **_errors(found, label),
        "figures": [
            ("threshold", "the likeliest is given" if threshold is None else f"{threshold:.2f}"),
            ("precision", rate(model, "precision")),
            ("recall", rate(model, "recall")),
            ("average precision", "–" if ap is None else with_interval(ap, average["label_intervals"][label])),
            ("calibration error", three(calibration["ece"], calibration["ece_interval"])),
            ("Brier score", three(calibration["brier"], calibration["brier_interval"])),
        ],
        "curve": None,
        "reliability": reliability_plot(label, report["reliability"][label], k),
        "reliability_legend": reliability_legend(k),
        "thresholds": threshold_plot(label, curve, threshold),
        "threshold_legend": threshold_legend(threshold),
    }
    truth = found.truth[:, k]
    if truth.any():
        points = precision_recall_points(found.scores[:, k], truth)
        giving = {name: each for name, each in systems.items() if each["predicted"]}
        card["curve"] = precision_recall_plot(label, points, giving, float(truth.mean()), k)
        card["curve_legend"] = precision_recall_legend(list(giving), k)
    return card
