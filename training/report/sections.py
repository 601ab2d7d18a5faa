"""The tables of the report's page: confusion between labels, slices, behaviour, and what changed against a base model."""

from collections import defaultdict
from typing import Any

from markupsafe import Markup

from training.report.figures import errors_link
from training.report.markdown import with_interval
from training.report.plots import strip, strip_axis
from training.statistics.compare import MACRO, signed, verdict
from training.statistics.confusion import confusions
from training.statistics.markdown import slice_label
from training.statistics.predictions import Predictions

# Slices that are unfolded at first, and changed sentences that are shown of a label and kind.
_OPEN_SLICES = 2
_MOST_CHANGES = 50


def confusion_tables(found: Predictions) -> list[dict[str, Any]]:
    """Return the tables of confusion, each cell with the tenth of its row that it makes up."""
    tables = []
    for each in confusions(found):
        last = None if found.choices else len(each.rows) - 1
        rows = []
        for g, name in enumerate(each.rows):
            cells = [
                {
                    "count": "" if g == p == last else int(each.counts[g, p]),
                    "tenth": round(10 * int(each.counts[g, p]) / max(int(each.of[g]), 1)),
                    "hit": g == p and g != last,
                    "said": "" if g == p == last else f"{each.counts[g, p]} of {each.of[g]}: {name} → {each.columns[p]}",
                }
                for p in range(len(each.columns))
            ]
            link = None if g == last else errors_link(f"{each.aspect}:{name}" if each.aspect else name)
            rows.append({"name": name, "link": link, "of": int(each.of[g]), "cells": cells})
        tables.append({"aspect": each.aspect, "columns": each.columns, "rows": rows})
    return tables


def slice_tables(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a table for each slice that the data have, and what is said of the others."""
    # The same statistic as the dots: macro F1 of the report counts labels that do not occur as 0, or is over the values of all aspects.
    occurring = [each["f1"] for each in report["systems"]["model"]["labels"].values() if each["support"]]
    overall = sum(occurring) / max(len(occurring), 1)
    tables = []
    for place, (name, values) in enumerate(report["slices"].items()):
        table: dict[str, Any] = {"name": name, "open": place < _OPEN_SLICES, "rows": None}
        if values:
            table |= {
                "axis": strip_axis((0, 0.5, 1)),
                "labels": list(values[0]["labels"]),
                "rows": [_slice(each, overall) for each in values],
            }
        tables.append(table)
    return tables


def _slice(each: dict[str, Any], overall: float) -> dict[str, Any]:
    macro, dots = "–", Markup("")
    if each["macro_f1"] is not None:
        macro = with_interval(each["macro_f1"], each["macro_f1_interval"])
        dots = strip(each["macro_f1"], each["macro_f1_interval"], macro, 7 if each["small"] else 3, line=overall)
    return {
        "value": each["value"],
        "sentences": each["sentences"],
        "small": each["small"],
        "macro": macro,
        "strip": dots,
        "labels": [slice_label(figures) for figures in each["labels"].values()],
    }


def behaviour_groups(report: dict[str, Any]) -> dict[str, Any] | None:
    """Return the pass rate of each group of cases with its failures; None where the suite was not run."""
    found = report.get("behaviour")
    if not found:
        return None
    failed = defaultdict(list)
    for case in found["failed"]:
        failed[case["group"]].append(case)
    groups = [
        {
            "name": name,
            "cases": each["cases"],
            "passed": each["passed"],
            "rate": with_interval(each["pass_rate"], each["interval"]),
            "strip": strip(
                each["pass_rate"], each["interval"], with_interval(each["pass_rate"], each["interval"]), 3, line=found["pass_rate"]
            ),
            "differ": f"{each['labels_differ']} of {each['sets']} sets" if each["sets"] else "–",
            "failed": failed[name],
        }
        for name, each in found["groups"].items()
    ]
    return {
        "groups": groups,
        "axis": strip_axis((0, 0.5, 1)),
        "cases": found["cases"],
        "passed": found["passed"],
        "rate": with_interval(found["pass_rate"], found["interval"]),
        "method": f"{found['confidence']:.0%} intervals, {found['method']}",
    }


def base_table(changed: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the comparison with the base model, changed sentences by label and kind; None without a base."""
    if changed is None:
        return None
    ((name, model),) = changed["models"].items()
    # One scale for all rows, in tenths: as far as the furthest interval reaches.
    reach = max(abs(end) for each in model["figures"].values() for end in each["interval"])
    reach = max(0.1, -(-round(reach * 1000) // 100) / 10)
    rows = [
        {
            "label": "macro F1" if label == MACRO else label,
            "base": f"{each['base']:.2f}",
            "f1": f"{each['f1']:.2f}",
            "difference": signed(each["difference"], each["interval"]),
            "strip": strip(each["difference"], each["interval"], signed(each["difference"], each["interval"]), 3, (-reach, reach)),
            "p_value": f"{each['p_value']:.4f}",
            "p_value_holm": f"{each['p_value_holm']:.4f}",
            "fixed": each["fixed"],
            "broken": each["broken"],
        }
        for label, each in model["figures"].items()
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for change in model["changes"]:
        groups[change["label"], change["change"]].append(change)
    shown = [
        {"label": label, "change": kind, "count": len(all_), "rows": all_[:_MOST_CHANGES], "left": max(0, len(all_) - _MOST_CHANGES)}
        for (label, kind), all_ in groups.items()
    ]
    return {
        "name": name,
        "base": changed["base"],
        "verdict": verdict(changed, name),
        "method": changed["method"],
        "axis": strip_axis((-reach, 0, reach)),
        "rows": rows,
        "groups": shown,
    }
