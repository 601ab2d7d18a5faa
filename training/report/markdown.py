"""The evaluation report as Markdown."""

from typing import Any

NAMES = {
    "model": "model",
    "rules": "rules (regular expressions)",
    "tfidf": "TF-IDF + logistic regression",
    "majority": "most frequent label",
}
# Which count of a label each is a share of.
_RATE_OF = {"precision": "predicted", "recall": "support"}


def with_interval(value: float, interval: list[float]) -> str:
    """Write a figure with its interval.

    >>> with_interval(0.8123, [0.7, 0.9])
    '0.81 [0.70, 0.90]'
    """
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"


def rate(figures: dict[str, Any], name: str, *, interval: bool = True) -> str:
    """Write the precision or recall of a label; a dash where it was never given, or never to be given: nothing over nothing.

    >>> rate({"precision": 0.0, "predicted": 0}, "precision", interval=False)
    '–'
    """
    if not figures[_RATE_OF[name]]:
        return "–"
    return with_interval(figures[name], figures[f"{name}_interval"]) if interval else f"{figures[name]:.2f}"


def table_rows(report: dict[str, Any]) -> list[list[str]]:
    """Return the table of F1 per label and system: a header row, one row a label, and the overall rows."""
    systems = report["systems"]
    rows = [["F1", "support", *(NAMES.get(name, name) for name in systems)]]
    for label, support in report["data"]["support"].items():
        figures = (s["labels"][label] for s in systems.values())
        rows.append([label, str(support), *(with_interval(f["f1"], f["f1_interval"]) for f in figures)])
    single = "accuracy" in systems["model"]
    shared = ("accuracy", "accuracy") if single else ("micro_f1", "micro F1")
    # Of one choice, accuracy is the exact match.
    exact = [] if single and len(report["model"]["choices"]) == 1 else [("exact_match", "exact match")]
    for name, title in (("macro_f1", "macro F1"), shared, *exact):
        rows.append([title, "", *(with_interval(s[name], s[name + "_interval"]) for s in systems.values())])
    return rows


def verdict(report: dict[str, Any]) -> list[str]:
    """Say for each baseline whether the model is better, by the interval of the paired difference in macro-F1."""
    lines = []
    for name, found in report["macro_f1_difference"].items():
        low, high = found["interval"]
        said = "better than" if low > 0 else "worse than" if high < 0 else "not shown to differ from"
        lines.append(f"The model is {said} {NAMES.get(name, name)}: macro F1 {found['difference']:+.2f} [{low:+.2f}, {high:+.2f}].")
    return lines


def weakest_label(report: dict[str, Any]) -> str | None:
    """Return the label that occurs and that the model knows least by F1; None where no label occurs."""
    figures = {label: each for label, each in report["systems"]["model"]["labels"].items() if each["support"]}
    return min(figures, key=lambda name: figures[name]["f1"], default=None)


def weakest_line(report: dict[str, Any]) -> list[str]:
    """Name the weakest label and what it lacks, for a person."""
    label = weakest_label(report)
    if label is None:
        return []
    found = report["systems"]["model"]["labels"][label]
    rates = ", ".join(f"{name} {rate(found, name, interval=False)}" for name in _RATE_OF)
    return [f"Weakest label: {label}, F1 {with_interval(found['f1'], found['f1_interval'])} ({rates})."]


def report_markdown(report: dict[str, Any]) -> str:
    """Write the report for a person."""
    data, interval = report["data"], report["interval"]
    header, *rows = table_rows(report)
    lines = [
        "# Evaluation",
        "",
        f"Model `{report['model']['fingerprint']}` on the {data['split']} split: {data['sentences']} sentences of "
        f"{data['articles']} articles, {data['no_label']} without a label.",
        f"Intervals: {interval['confidence']:.0%}, {interval['method']}, {interval['samples']} samples.",
        "",
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *verdict(report),
        "",
        *_empty_line(report["empty_kept"]),
        *_citation_lines(report["citations"]),
        f"- {'Pairs cut to what the model reads' if data.get('pairs') else 'Sentences read in windows'}: {report['truncated']}",
        f"- Speed: {report['speed']['sentences_per_second']:.0f} sentences/s ({report['speed']['backend']})",
        "",
        "| label | precision | recall | average precision | threshold | calibration error (10 bins of equal number) | Brier score |",
        "|---|---|---|---|---|---|---|",
    ]
    for label, figures in report["systems"]["model"]["labels"].items():
        ap, calibration = report["average_precision"]["labels"][label], report["calibration"][label]
        threshold = report["model"]["thresholds"].get(label)
        lines.append(
            f"| {label} | {rate(figures, 'precision', interval=False)} | {rate(figures, 'recall', interval=False)} "
            f"| {'–' if ap is None else f'{ap:.2f}'} "
            f"| {'likeliest' if threshold is None else f'{threshold:.2f}'} | {three(calibration['ece'], calibration['ece_interval'])} "
            f"| {three(calibration['brier'], calibration['brier_interval'])} |"
        )
    lines += ["", "The wrongly labelled sentences are in `errors.jsonl`, the most confidently wrong first.", ""]
    return "\n".join(lines) + (behaviour_markdown(report["behaviour"]) if "behaviour" in report else "")


def three(value: float, interval: list[float]) -> str:
    """Write a small figure with its interval."""
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def _empty_line(found: dict[str, Any] | None) -> list[str]:
    return [f"- Sentences without a label that stay without one: {found['kept']} of {found['of']}"] if found and found["of"] else []


def _citation_lines(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    lines = [
        f"- `regulation_reference`: F1 of the label {found['f1_label']:.2f}, of the parser of citations {found['f1_citations']:.2f}, "
        f"of either {found['f1_either']:.2f}"
    ]
    for key, what in (("label_without_citation", "labelled without a citation"), ("citation_without_label", "citing without the label")):
        if found[key]:
            lines.append(f"- {len(found[key])} sentences {what}: {', '.join(found[key][:20])}{', …' if len(found[key]) > 20 else ''}")
    return lines


def behaviour_rows(found: dict[str, Any]) -> list[list[str]]:
    """Return the table of the behaviour suite: a header row, one row a group, and one over all."""
    rows = [["behaviour", "cases", "passed", f"pass rate [{found['confidence']:.0%} interval, {found['method']}]", "labels differ"]]
    for group, each in [*found["groups"].items(), ("all", found)]:
        differ = f"{each['labels_differ']} of {each['sets']} sets" if each["sets"] else "–"
        rows.append([group, str(each["cases"]), str(each["passed"]), with_interval(each["pass_rate"], each["interval"]), differ])
    return rows


def behaviour_failures(found: dict[str, Any]) -> list[str]:
    """List each failed case: id, rule, and what is wrong with each sentence, with its scores."""
    lines = []
    for case in found["failed"]:
        lines.append(f"- {case['id']} ({case['rule']})" + ("; labels differ" if case["labels_differ"] else ""))
        for each in case["sentences"]:
            wrong = [f"{what} {', '.join(each[what])}" for what in ("missing", "unexpected") if each[what]]
            scores = ", ".join(f"{label} {score:.2f}" for label, score in each["scores"].items())
            lines.append(f"  - {'; '.join(wrong) or 'labels: ' + (', '.join(each['labels']) or 'none')}: {each['sentence']} ({scores})")
    return lines


def behaviour_markdown(found: dict[str, Any]) -> str:
    """Write the behaviour suite's part of the report for a person."""
    header, *rows = behaviour_rows(found)
    table = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *("| " + " | ".join(row) + " |" for row in rows)]
    failures = behaviour_failures(found)
    return "\n".join(["", "## Behaviour", "", *table, "", *(["Failed cases:", "", *failures, ""] if failures else [])])
