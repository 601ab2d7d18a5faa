"""The evaluation report as one HTML file: figures, plots, and the worst errors in their context, to be corrected."""

from collections.abc import Sequence
from typing import Any

from netral.labels import MEANINGS
from netral.pages.page import render
from netral.pages.text import whole_unicode
from training.report.errors import error_settings
from training.report.figures import headline, label_cards
from training.report.sections import base_table, behaviour_groups, confusion_tables, slice_tables
from training.statistics.markdown import leak_lines
from training.statistics.predictions import Predictions
from training.statistics.slices import SMALL

PAGE_FILE = "report.html"
STYLES = ("figures.css", "errors.css")
SCRIPTS = ("dom.js", "charts.js", "answers.js", "errors.js")


def report_page(report: dict[str, Any], found: Predictions, errors: Sequence[dict[str, Any]], changed: dict[str, Any] | None) -> str:
    """Render the report.

    Args:
        report: What report.json holds.
        found: What the model answered on the split.
        errors: Wrongly labelled sentences in their context, the most confident first (training.report.errors).
        changed: What changed against a base model (training.statistics.compare.compare); None without one.
    """
    page = render(
        "training.report",
        "report.html",
        title="Evaluation",
        styles=STYLES,
        scripts=SCRIPTS,
        packed=list(errors),
        meanings={label: MEANINGS[label] for label in found.labels if label in MEANINGS},
        error_settings=error_settings(found, report),
        report=report,
        headline=headline(report, found),
        labels=label_cards(report, found),
        confusion=confusion_tables(found),
        single=bool(found.choices),
        slices=slice_tables(report),
        behaviour=behaviour_groups(report),
        base=base_table(changed),
        leaks=leak_lines(report),
        small=SMALL,
    )
    # Values of a slice may hold what UTF-8 cannot.
    return whole_unicode(page)
