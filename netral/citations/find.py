"""Finds citations: the one function that users of the package call."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from netral.citations.gazetteer import gazetteer
from netral.citations.grammar import format_id
from netral.citations.linker import Mention, mentions
from netral.citations.nicknames import nicknames
from netral.citations.titles import title_behind
from netral.text.normalise import normalise

# One cheap look decides for most sentences: without one of these there is neither a mention nor a word that points back.
_TRIGGER = re.compile(
    # The first letters alone, tried first, halve the time of a sentence without a trigger.
    r"\b(?=[upksitq])(?:undang|uu|u\.\s?u|pasa[l1|]|p(?:sl|s\.|\.\s?p)|(?:pp|pmk|skb?|se|sema|tap|surat|per(?:da|dasus|dasi|ma|ka|kap|[l1]an|pang))(?:\b|(?=no))"
    r"|pp\d|pkpu|per(?:p[puo0]|pres|gub|bup|wa[l1k]|men|bkn|kasn|bawas|dkpp|aturan|kap[o0])|kep(?:utusan|pres|res|men|gub|bup|wal)|ketetapan"
    r"|kuh|kitab|suratedaran|suratkep|in(?:pres|struksi|mendagri|gub|bup|wali)|putusan|tapmpr|qanun)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Citation:
    """One mention of one regulation or article; a stretch that names two articles gives two.

    Attributes:
        start: Offset of its first character in the text as given.
        end: Offset behind its last character: ``text[start:end] == surface``.
        surface: The mention as it stands in the text.
        canonical: The id of docs/citations.md, such as ``id/uu/2014/5#pasal-2.huruf-f``.
        type: The type of regulation, such as ``uu``.
        number: The number in canonical form, if given.
        year: The year, if given.
        issuer: Who issued it, as far as the text or the type says.
        pasal: The article cited.
        ayat: The paragraph cited.
        huruf: The letter cited.
        angka: The number in a list cited.
        about: The title, from the text or else from the gazetteer.
        known: True if the gazetteer has the regulation.
        successor_of: Canonical id of the law that this one replaced, where the table of nicknames says so.
        back_reference: True if the mention itself does not name the regulation (`UU tersebut`, a bare `Pasal 5`).
    """

    start: int
    end: int
    surface: str
    canonical: str
    type: str
    number: str | None
    year: int | None
    issuer: str | None
    pasal: str | None
    ayat: str | None
    huruf: str | None
    angka: str | None
    about: str | None
    known: bool
    successor_of: str | None
    back_reference: bool


def may_cite(text: str) -> bool:
    """Tell whether a text holds a word that can begin a citation.

    >>> may_cite("Dana desa cair."), may_cite("Putusan itu final.")
    (False, True)
    """
    return _TRIGGER.search(text) is not None


def find_citations(text: str, date: date | None = None) -> list[Citation]:
    """Find the regulations and articles that a text cites, in order of start, then of canonical id.

    Give a whole article: words like `undang-undang tersebut` are resolved to what was cited before them. Offsets count
    characters of ``text`` as given, whatever entities, no-break spaces or characters without width stand in it.

    Args:
        text: An article, paragraph or sentence; any string will do.
        date: The day of the article, which decides what `UU ASN` meant; without it the law in force today.

    >>> [c.canonical for c in find_citations("Pasal 70 dan 71 UU No. 10/2016; UU itu jelas.")]
    ['id/uu/2016/10#pasal-70', 'id/uu/2016/10#pasal-71', 'id/uu/2016/10']
    """
    normalised = normalise(text)
    if not may_cite(normalised.text):
        return []
    found: list[Citation] = []
    for mention in mentions(normalised.text, date):
        start, end = normalised.source_span(mention.start, mention.end)
        found.extend(_citations(mention, start, end, text[start:end], _title(normalised.text, mention)))
    return sorted(found, key=lambda citation: (citation.start, citation.canonical))


def _title(text: str, mention: Mention) -> str:
    """Return the title that the text gives; behind KUHP it would be that of the article."""
    return "" if mention.back or mention.source.alone else title_behind(text, mention.source.end)


def _citations(mention: Mention, start: int, end: int, surface: str, about: str) -> Iterator[Citation]:
    for each in mention.ids:
        plain = format_id(each)
        title = gazetteer().title(each)
        title = title or nicknames().titles.get(plain, title)
        for pasal, ayat, huruf, angka in mention.paths:
            yield Citation(
                start,
                end,
                surface,
                format_id(replace(each, pasal=pasal, ayat=ayat, huruf=huruf, angka=angka)),
                each.type,
                each.number,
                each.year,
                mention.source.issuer or None,
                pasal,
                ayat,
                huruf,
                angka,
                mention.source.about if mention.source.alone else title or about or mention.source.about or None,
                title is not None,
                nicknames().replaced.get(plain),
                mention.back,
            )
