"""One article in the terminal: `netral show`."""

import difflib
import re

from rich.console import Console
from rich.text import Text

from inference.pages.data import LabelledArticle, label_names, pieces, read_articles
from netral.errors import NetralError
from netral.labels import LABELS

# The colours of the pages as near as a terminal has them.
_COLOURS = ("yellow", "magenta", "green", "blue", "cyan", "red")
# Control characters could move the cursor or recolour the terminal; marks of direction could reorder a line.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def find_article(out: str, article_id: str | None) -> LabelledArticle:
    """Return an article of an output, or its first.

    Raises:
        NetralError: There is none of that id; the nearest are named.
    """
    seen = []
    for article in read_articles(out, sources=False):
        if article_id in (None, article.id):
            return article
        seen.append(article.id)
    if article_id is None:
        raise NetralError(f"{out}: holds no row", "label a crawl first: netral label CRAWL --out OUT.jsonl")
    near = ", ".join(difflib.get_close_matches(article_id, seen, n=3, cutoff=0.0))
    raise NetralError(f"{out}: no article {article_id!r} among {len(seen)}", f"pass one of its ids, for example {near}")


def show(article: LabelledArticle, console: Console) -> None:
    """Print an article: a line for each sentence, its labels with their scores behind it."""
    labels = label_names([article], LABELS)
    facts = [article.outlet, article.date, article.url, article.source]
    console.print(Text(printable(article.title or article.id), style="bold"), soft_wrap=True)
    console.print(Text(printable(" · ".join([article.id, *filter(None, facts)])), style="dim"), soft_wrap=True)
    for piece in pieces(article, labels):
        line = Text("\n" if piece.get("p") else "")
        style = _colour(max(piece["labels"], key=lambda n: piece["scores"][n])) if piece["labels"] else ""
        line.append(printable(piece["text"]), style)
        for number in piece["labels"]:
            line.append("  ")
            line.append(f"[{printable(labels[number])} {piece['scores'][number]:.2f}]", f"bold {_colour(number)}")
        console.print(line, soft_wrap=not console.is_terminal)


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def printable(text: str) -> str:
    r"""Replace what could command a terminal.

    >>> printable("a\x1b[31mb\u202ec")
    'a\ufffd[31mb\ufffdc'
    """
    return _CONTROL.sub("\ufffd", text)
