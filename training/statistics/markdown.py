"""The statistics of an evaluation as Markdown, behind the headline table."""

from typing import Any

from training.report.markdown import with_interval
from training.statistics.compare import table_rows as comparison_rows
from training.statistics.compare import verdict
from training.statistics.slices import SMALL


def slice_rows(found: list[dict[str, Any]], name: str) -> list[list[str]]:
    """Return the table of one slice: a header row, and one row a value; labels with few positives carry an asterisk."""
    rows = [[name, "sentences", "macro F1", *found[0]["labels"]]]
    for each in found:
        macro = "–" if each["macro_f1"] is None else with_interval(each["macro_f1"], each["macro_f1_interval"])
        rows.append(
            [each["value"].replace("|", "/"), str(each["sentences"]), macro, *(slice_label(figures) for figures in each["labels"].values())]
        )
    return rows


def slice_label(figures: dict[str, Any]) -> str:
    """Write F1 of a label in a slice with its interval and support; an asterisk marks a support that is too small."""
    if not figures["support"]:
        return f"– ({figures['predicted']} wrong)" if figures["predicted"] else "–"
    return f"{with_interval(figures['f1'], figures['f1_interval'])} ({figures['support']}{'*' if figures['small'] else ''})"


def statistics_markdown(report: dict[str, Any]) -> str:
    """Write the slices and leak figures of a report for a person."""
    lines = [
        "",
        "## Slices",
        "",
        f"F1 with intervals; in brackets the number of sentences with the label, under {SMALL} with an asterisk: too few to conclude from.",
        "",
    ]
    for name, found in report["slices"].items():
        if found is None:
            lines += [f"{name}: the data hold no such field.", ""]
            continue
        header, *rows = slice_rows(found, name)
        lines += ["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *("| " + " | ".join(row) + " |" for row in rows), ""]
    lines += ["## Leaks", "", *(f"- {line}" for line in leak_lines(report)), ""]
    text = "\n".join([*lines, "Plots, reliability and threshold curves are in `report.html`.", ""])
    return text + (base_markdown(report["base"]) if "base" in report else "")


def base_markdown(base: dict[str, Any]) -> str:
    """Write what changed against the base model for a person."""
    (name,) = base["models"]
    header, *rows = comparison_rows(base, name)
    table = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(["", "## Against the base model", "", verdict(base, name), "", *table, ""])


def leak_lines(report: dict[str, Any]) -> list[str]:
    """Say how near the split is to the others, and what a random split would have claimed."""
    leaks = report["leaks"]
    near, random = leaks["similarity"], leaks["random_split"]
    lines = []
    if near:
        lines.append(
            f"Nearest sentence of another split (Jaccard similarity of character 5-grams): highest {near['highest']:.2f}, median "
            f"{near['median']:.2f}, from 0.4 on {near['from_0.4']} of {near['sentences']} sentences"
        )
    honest = report["systems"].get("tfidf")
    if random is None:
        lines.append(f"No figure on a random split of sentences: {leaks['no_random_split']}")
    elif honest:
        lines.append(
            f"TF-IDF + logistic regression, macro F1: {with_interval(honest['macro_f1'], honest['macro_f1_interval'])} on this split, "
            f"{with_interval(random['macro_f1'], random['macro_f1_interval'])} on a random split of sentences, which has "
            f"{random['articles_on_both_sides']} articles on both sides"
        )
    return lines
