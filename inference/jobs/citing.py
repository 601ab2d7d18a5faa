"""Gives sentences the regulations that they cite."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from netral.citations import Citation, find_citations
from netral.citations.dates import article_date
from netral.records import Article, Sentence


def citation_row(citation: Citation, base: int = 0) -> dict[str, Any]:
    """Build a citation's object with the columns of docs/citations.md in order; ``base`` is where its text begins in the article."""
    row = asdict(citation)
    return row | {"start": citation.start + base, "end": citation.end + base}


def with_citations(article: Article, sentences: Sequence[Sentence]) -> Sequence[Sentence]:
    """Return an article's sentences, each with the citations that begin in it.

    The article is read whole, so that `undang-undang tersebut` is resolved to what an earlier sentence cited.
    """
    found = find_citations(article.text, article_date(article.meta))
    if not found:
        return sentences
    return [
        replace(sentence, citations=tuple(citation_row(each) for each in found if sentence.start <= each.start < sentence.end))
        for sentence in sentences
    ]


def cited_alone(sentence: Sentence) -> Sentence:
    """Return a sentence that came without its article, with what it cites by itself."""
    found = find_citations(sentence.text, article_date(sentence.meta))
    return replace(sentence, citations=tuple(citation_row(each, sentence.start) for each in found)) if found else sentence


def names_a_regulation(sentence: Sentence) -> bool:
    """Tell whether a sentence names an instrument itself; a bare `UU tersebut` does not."""
    return any(not each["back_reference"] for each in sentence.citations)
