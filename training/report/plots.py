"""The plots of the report: dots with whiskers, precision-recall, reliability, and figures over thresholds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from training.report.markdown import NAMES, with_interval
from training.report.svg import Frame, image, mark, path, swatch, tag, whisker

# Shape and colour of each system; the shape tells them apart without the colour.
SYSTEMS = {"model": ("circle", 3), "rules": ("square", 0), "majority": ("square", 0), "tfidf": ("triangle", 2)}
_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
_CURVES = (("f1", "F1", "curve c3"), ("precision", "precision", "curve dashed c0"), ("recall", "recall", "curve dotted c2"))
_BAND = "band c3"
Legend = list[tuple[Markup, str]]


def f1_dots(rows: Sequence[tuple[str, Mapping[str, tuple[float, list[float]]]]]) -> Markup:
    """Draw F1 with its interval: for each row a name and, below it, a line for each system."""
    tops, height = [], 4.0
    for _, systems in rows:
        tops.append(height)
        height += 19 + 10 * len(systems)
    frame = Frame(width=360, height=height + 20, left=8, top=2, bottom=20)
    drawn = [frame.columns(_TICKS)]
    for top, (name, systems) in zip(tops, rows, strict=True):
        drawn.append(tag("text", _shortened(name, 56), x=frame.left, y=top + 10, class_="row"))
        for place, (system, (value, interval)) in enumerate(systems.items()):
            shape, series = SYSTEMS[system]
            y = top + 19 + 10 * place
            said = f"{name}, {NAMES[system]}: {with_interval(value, interval)}"
            drawn += [
                whisker((frame.x(interval[0]), y), (frame.x(interval[1]), y), series),
                mark(shape, frame.x(value), y, series, said, 3.6),
            ]
    return image("F1 with intervals", "F1 of each label and system as a dot, its interval as a whisker, from 0 to 1.", frame.size, *drawn)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def system_legend(systems: Sequence[str]) -> Legend:
    """Return the signs of the systems."""
    return [(swatch(mark(SYSTEMS[each][0], 11, 6, SYSTEMS[each][1])), NAMES[each]) for each in systems]


def precision_recall_plot(label: str, points: np.ndarray, systems: Mapping[str, Mapping[str, Any]], share: float, series: int) -> Markup:
    """Draw the precision-recall curve of a label as steps, the area under which is the average precision.

    Args:
        label: Its name.
        points: Threshold, precision and recall at each distinct score, the highest first (training.statistics.curves).
        systems: Precision and recall of each system that gives the label at all, the model's with intervals.
        share: Share of sentences that have the label: the precision of guessing.
        series: Colour of the curve.
    """
    frame = Frame()
    # Each step goes up or down to the precision of a score, then on to its recall: V and H in turn are the points.
    steps = "".join(f"V{frame.y(precision):.2f}H{frame.x(recall):.2f}" for _, precision, recall in points)
    guess = path([frame.point(0, share), frame.point(1, share)], "curve dotted c7")
    drawn = [
        frame.axes("recall", "precision", _TICKS),
        guess,
        tag("path", d=f"M{frame.x(0):.2f} {frame.y(points[0][1]):.2f}{steps}", class_=f"curve steps c{series % 8}"),
    ]
    for name, each in reversed(list(systems.items())):
        shape, colour = SYSTEMS[name]
        precision, recall = each["precision"], each["recall"]
        if name == "model":
            low, high = each["precision_interval"]
            drawn.append(whisker(frame.point(recall, low), frame.point(recall, high), colour))
            low, high = each["recall_interval"]
            drawn.append(whisker(frame.point(low, precision), frame.point(high, precision), colour))
        said = ", ".join(f"{figure} {with_interval(each[figure], each[f'{figure}_interval'])}" for figure in ("precision", "recall"))
        drawn.append(mark(shape, *frame.point(recall, precision), colour, f"{NAMES[name]}: {said}"))
    told = f"Precision of {label} at every recall that a threshold gives, with the decisions of each system."
    return image(f"Precision and recall: {label}", told, frame.size, *drawn)


def precision_recall_legend(systems: Sequence[str], series: int) -> Legend:
    """Return the signs of the precision-recall plot."""
    curve = (swatch(path([(1, 6), (21, 6)], f"curve c{series % 8}")), "every threshold")
    return [curve, *system_legend(systems), (swatch(path([(1, 6), (21, 6)], "curve dotted c7")), "guessing")]


def reliability_plot(label: str, bins: Sequence[Mapping[str, Any]], series: int) -> Markup:
    """Draw the mean score against the share of positives of each bin, with intervals, beside the diagonal."""
    frame = Frame()
    places = [frame.point(each["mean_score"], each["share"]) for each in bins]
    drawn = [
        frame.axes("mean score", "share that has the label", _TICKS),
        path([frame.point(0, 0), frame.point(1, 1)], "curve dashed c7"),
        path(places, f"curve thin c{series % 8}"),
    ]
    for (x, y), each in zip(places, bins, strict=True):
        low, high = each["interval"]
        said = (
            f"scores {each['low']:.2f} to {each['high']:.2f}, mean {each['mean_score']:.2f}: "
            f"{with_interval(each['share'], each['interval'])} of {each['sentences']} sentences have the label"
        )
        drawn += [whisker((x, frame.y(low)), (x, frame.y(high)), series), mark("circle", x, y, series, said, 3.2)]
    told = f"Share of sentences with {label} against the mean score, in bins of equal number; on the diagonal scores are probabilities."
    return image(f"Reliability: {label}", told, frame.size, *drawn)


def reliability_legend(series: int) -> Legend:
    """Return the signs of the reliability plot."""
    bins = swatch(whisker((11, 1), (11, 11), series), mark("circle", 11, 6, series, size=3.2))
    return [(bins, "a tenth of the sentences"), (swatch(path([(1, 6), (21, 6)], "curve dashed c7")), "score = share")]


def threshold_plot(label: str, curve: Sequence[Mapping[str, Any]], threshold: float | None) -> Markup:
    """Draw F1, precision and recall over thresholds, the interval of F1 as a band, and the threshold in use as an upright line."""
    frame = Frame()
    upper = [frame.point(each["threshold"], each["f1_interval"][1]) for each in curve]
    lower = [frame.point(each["threshold"], each["f1_interval"][0]) for each in curve]
    drawn = [frame.axes("threshold", "F1, precision, recall", _TICKS), path([*upper, *reversed(lower)], _BAND)]
    for name, _, class_ in _CURVES:
        # Where nothing is labelled precision is not defined.
        known = [frame.point(each["threshold"], each[name]) for each in curve if each[name] is not None]
        drawn += [path(known, class_)] if known else []
    if threshold is not None:
        drawn.append(path([frame.point(threshold, 0), frame.point(threshold, 1)], "curve use"))
    told = f"F1, precision and recall of {label} at thresholds from 0.05 to 0.95, with the threshold in use."
    return image(f"Thresholds: {label}", told, frame.size, *drawn)


def threshold_legend(threshold: float | None) -> Legend:
    """Return the signs of the threshold plot."""
    lines = [(swatch(path([(1, 6), (21, 6)], class_)), title) for _, title, class_ in _CURVES]
    lines.append((swatch(path([(1, 1), (21, 1), (21, 11), (1, 11)], _BAND)), "interval of F1"))
    return lines if threshold is None else [*lines, (swatch(path([(11, 0), (11, 12)], "curve use")), f"in use: {threshold:.2f}")]


def strip(
    value: float, interval: Sequence[float], said: str, series: int, across: tuple[float, float] = (0.0, 1.0), line: float = 0
) -> Markup:
    """Draw one figure with its interval for a table's cell, with an upright line at a figure to hold it against."""
    frame = _strip_frame(across)
    drawn = [
        path([(frame.x(across[0]), 7), (frame.x(across[1]), 7)], "grid"),
        path([(frame.x(line), 0), (frame.x(line), 14)], "curve use"),
        whisker((frame.x(max(interval[0], across[0])), 7), (frame.x(min(interval[1], across[1])), 7), series),
        mark("circle", frame.x(value), 7, series, said, 3.2),
    ]
    return image(said, f"From {across[0]:g} to {across[1]:g}; the upright line stands at {line:.2f}.", frame.size, *drawn, class_="strip")


def _strip_frame(across: tuple[float, float]) -> Frame:
    return Frame(across=across, width=120, height=14, left=12, right=12, top=0, bottom=0)


def strip_axis(ticks: Sequence[float]) -> Markup:
    """Draw the axis of a column of strips."""
    frame = _strip_frame((ticks[0], ticks[-1]))
    names = [tag("text", f"{tick:g}", x=frame.x(tick), y=11, text_anchor="middle") for tick in ticks]
    return image("axis", f"From {ticks[0]:g} to {ticks[-1]:g}.", frame.size, *names, class_="strip")
