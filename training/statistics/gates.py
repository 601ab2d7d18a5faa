"""Bounds that a model has to keep, for whoever retrains in CI."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netral.config import Config
from netral.errors import NetralError
from training.statistics.bootstrap import GroupBootstrap
from training.statistics.compare import MACRO, signed
from training.statistics.predictions import Predictions, macro_columns, read_predictions, same_sentences

_FORM = re.compile(r"^\s*(?P<metric>\S+?)\s*(?P<sign>>=|<=)\s*(?P<bound>\d+(?:\.\d+)?)\s*$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One bound: a figure's name, ``>=`` or ``<=``, and the value."""

    metric: str
    sign: str
    bound: float

    def __str__(self) -> str:
        """Return it as it was written."""
        return f"{self.metric}{self.sign}{self.bound:g}"


def parse_requirement(text: str) -> Requirement:
    """Read a requirement.

    Raises:
        NetralError: It is not of the form metric>=value.

    >>> str(parse_requirement("warning.f1 >= 0.80"))
    'warning.f1>=0.8'
    """
    found = _FORM.match(text)
    if not found:
        raise NetralError(f"--require {text}: not of the form metric>=value", "for example --require 'macro_f1>=0.85'")
    return Requirement(found["metric"], found["sign"], float(found["bound"]))


def figures_with_intervals(report: dict[str, Any]) -> dict[str, tuple[float, list[float]]]:
    """Return every figure of a report that a requirement can name, with its interval."""
    model, precision = report["systems"]["model"], report["average_precision"]
    found = {name: (model[name], model[f"{name}_interval"]) for name in model if f"{name}_interval" in model}
    found["macro_average_precision"] = (precision["macro_average_precision"], precision["macro_average_precision_interval"])
    if report.get("empty_kept"):
        found["empty_kept"] = (report["empty_kept"]["share"], report["empty_kept"]["interval"])
    for label, figures in model["labels"].items():
        for name in ("f1", "precision", "recall"):
            found[f"{label}.{name}"] = (figures[name], figures[f"{name}_interval"])
        if precision["labels"][label] is not None:
            found[f"{label}.average_precision"] = (precision["labels"][label], precision["label_intervals"][label])
        for name in ("ece", "brier"):
            figure = report["calibration"][label]
            found[f"{label}.{name}"] = (figure[name], figure[f"{name}_interval"])
    return found


def check_requirements(report: dict[str, Any], requirements: list[Requirement]) -> tuple[list[str], list[str]]:
    """Hold a report against requirements.

    A requirement fails only where the whole interval lies beyond its bound; a figure beyond it whose interval holds the bound may be
    chance, and is only noted.

    Returns:
        Lines on what failed, and lines on what is doubtful.

    Raises:
        NetralError: A requirement names a figure that the report does not have.
    """
    known = figures_with_intervals(report)
    failed, doubtful = [], []
    for each in requirements:
        if each.metric not in known:
            raise NetralError(f"--require {each}: no figure {each.metric}", f"known figures: {', '.join(known)}")
        value, (low, high) = known[each.metric]
        beyond = value < each.bound if each.sign == ">=" else value > each.bound
        excluded = high < each.bound if each.sign == ">=" else low > each.bound
        line = f"{each}: {value:.4f} [{low:.4f}, {high:.4f}]"
        if excluded:
            failed.append(line)
        elif beyond:
            doubtful.append(line)
    return failed, doubtful


def check_against_base(before: Predictions, base: Path, report: Path, config: Config) -> list[str]:
    """Return a line for macro F1 and each label in which a model is worse than a base, with the whole interval below zero.

    Raises:
        NetralError: The two did not label the same sentences.
    """
    after = same_sentences(before, read_predictions(report), (str(base), str(report)))
    return [
        f"{name}: {signed(difference, interval)} against {base}"
        for name, (difference, interval) in differences(before, after, config).items()
        if interval[1] < 0
    ]


def differences(before: Predictions, after: Predictions, config: Config) -> dict[str, tuple[float, list[float]]]:
    """Return the paired difference of macro F1 and of each label's F1, with intervals."""
    settings = config.evaluate
    bootstrap = GroupBootstrap(before.groups, settings.bootstrap_samples, settings.confidence, settings.seed)
    values = macro_columns(before, after)
    rows = bootstrap.f1(after.given, before.truth) - bootstrap.f1(before.given, before.truth)
    joined = bootstrap.f1(after.given, before.truth, values) - bootstrap.f1(before.given, before.truth, values)
    found = {MACRO: joined.mean(axis=1), **{f"{label}.f1": rows[:, k] for k, label in enumerate(before.labels)}}
    return {name: (float(values[-1]), bootstrap.interval(values)) for name, values in found.items()}
