"""The article view and the annotate view: `netral view`."""

import hashlib
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from inference.pages.data import LabelledArticle, gone_counts, label_names, pieces, read_articles
from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import refuse_existing, replacing_file
from netral.labels import LABELS, MEANINGS
from netral.pages.page import render
from netral.progress import Progress

SCRIPTS = ("dom.js", "charts.js", "answers.js", "filter.js", "article.js", "view.js")


def view(
    out: str,
    page: Path,
    *,
    title: str | None = None,
    source: Path | None = None,
    annotator: str | None = None,
    limit: int = 5000,
    config: Config | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the articles of an output as one HTML file and return what it holds.

    Args:
        out: An output of `netral label` or `netral split`.
        page: The file to write.
        title: Title of the page; None takes the output's name.
        source: A folder to look for the sources in, where they no longer lie under the names in the output.
        annotator: Whose answers the page collects; None makes a page to read only.
        limit: Articles that the page holds at most, from the first on.
        config: How sources are read and cleaned; None takes what the summary beside the output says, else the defaults.
        overwrite: Replace a file that exists.

    Raises:
        NetralError: The output is missing, empty or no output of netral; the page exists; or jinja2 is not installed.
    """
    if page.suffix.lower() not in (".html", ".htm"):
        raise NetralError(f"{page}: a view is an HTML file", "name it OUT.html")
    refuse_existing(page, overwrite)
    read, text = (config.read, config.text) if config else (None, None)
    articles, left_out = [], 0
    with Progress("view", "articles") as progress:
        for article in islice(read_articles(out, read, text, source), limit):
            articles.append(article)
            progress.advance(1)
    if not articles:
        raise NetralError(f"{out}: holds no row", "label a crawl first: netral label CRAWL --out OUT.jsonl")
    if len(articles) == limit:
        left_out = sum(1 for _ in read_articles(out, sources=False)) - limit
    labels = label_names(articles, LABELS)
    html = render(
        __package__,
        "view.html",
        title=title or f"{'Annotate' if annotator else 'Articles'}: {Path(out).name}",
        styles=("view.css",),
        scripts=SCRIPTS,
        packed=[_article(article, labels) for article in articles],
        settings={"labels": labels, "digest": data_digest(articles), "annotator": annotator, "left_out": left_out},
        gone=gone_counts(articles),
        left_out=left_out,
        meanings={label: MEANINGS[label] for label in labels if label in MEANINGS},
        articles=len(articles),
        annotator=annotator,
    )
    with replacing_file(page) as beside:
        beside.write_text(html, encoding="utf-8", errors="replace", newline="\n")
    sentences = sum(len(article.rows) for article in articles)
    return {
        "articles": len(articles),
        "sentences": sentences,
        "left_out": left_out,
        "gone": gone_counts(articles),
        "bytes": page.stat().st_size,
    }


def _article(article: LabelledArticle, labels: tuple[str, ...]) -> dict[str, Any]:
    """Build what the page's script shows of an article."""
    head = {name: getattr(article, name) for name in ("id", "title", "outlet", "date", "url", "source", "gone")}
    return {**{name: value for name, value in head.items() if value}, "pieces": pieces(article, labels)}


def data_digest(articles: Sequence[LabelledArticle]) -> str:
    """Return 16 hex digits over the sentences, whatever their labels: answers belong to the sentences and outlive a new model."""
    digest = hashlib.sha256()
    for article in articles:
        for row in article.rows:
            digest.update(json.dumps([row.sentence_id, row.start, row.end, row.sentence]).encode("ascii"))
    return digest.hexdigest()[:16]
