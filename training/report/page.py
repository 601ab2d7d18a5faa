"""The evaluation report as one HTML file: figures, plots, and the worst errors in their context, to be corrected."""

from collections.abc import Sequence
from typing import Any

from netral.pages.page import render
from training.statistics.predictions import Predictions

STYLES = ("figures.css", "errors.css")
SCRIPTS = ("dom.js", "charts.js", "answers.js", "figures.js", "errors.js")


def report_page(report: dict[str, Any], found: Predictions, errors: Sequence[dict[str, Any]], changed: dict[str, Any] | None) -> str:
    """Render the report.

    Args:
        report: What report.json holds.
        found: What the model answered on the split.
        errors: Wrongly labelled sentences in their context, the most confident first (training.report.errors).
        changed: What changed against a base model (training.statistics.compare.compare); None without one.
    """
    return render(
        "training.report",
        "report.html",
        title="Evaluation",
        styles=STYLES,
        scripts=SCRIPTS,
        packed=list(errors),
        report=report,
    )
