"""Joins instruments and articles into citations and resolves what points back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from netral.citations.fragments import Fragment, Path, fragments
from netral.citations.gazetteer import gazetteer
from netral.citations.grammar import RegulationId, format_id
from netral.citations.nicknames import nicknames
from netral.citations.scanner import Instrument, instruments
from netral.text.normalise import normalise

# One cheap look decides for most sentences: without one of these there is neither a mention nor a word that points back.
_TRIGGER = re.compile(
    # The first letters alone, tried first, halve the time of a sentence without a trigger.
    r"\b(?=[upksitq])(?:undang|uu|u\.\s?u|pasa[l1|]|p(?:sl|s\.|\.\s?p)|(?:pp|pmk|skb?|se|sema|tap|surat|per(?:da|dasus|dasi|ma|ka|kap|[l1]an|pang))(?:\b|(?=no))"
    r"|pp\d|pkpu|per(?:p[puo0]|pres|gub|bup|wa[l1k]|men|bkn|kasn|bawas|dkpp|aturan|kap[o0])|kep(?:utusan|pres|res|men|gub|bup|wal)|ketetapan"
    r"|kuh|kitab|suratedaran|suratkep|in(?:pres|struksi|mendagri|gub|bup|wali)|putusan|tapmpr|qanun)",
    re.I,
)
# How far a law's title may reach before the article behind it; the longest title in the gazetteer has about 300 characters.
_TITLE_CHARS = 320
_LINK_BEFORE = re.compile(r"[\s,]*(?:(?:dari|dalam|pada|di|juga)\s{1,9})?[\"“'(]?", re.I)
_LINK_AFTER = re.compile(r"\s{0,9}(?:\([^()\n]{1,60}\)\s{0,9})?[\s,:(]*")
_TITLE_HEAD = re.compile(r"\s{0,9}(?:\([^()\n]{1,60}\)\s{0,9})?,?\s{0,9}(?:tentang|ttg\.?|mengenai)\s{1,9}", re.I)
_TITLE_ENDS = re.compile(
    r"[.;:!?\"“”]|\n\s{0,9}\n|\b(?:yang|bahwa|telah|sudah|akan|adalah|sebagaimana|khususnya|terutama|karena|agar|saat|ketika|kata|ujar|tersebut|juga"
    r"|itu|ini|dengan ancaman|guna|berbunyi|berlaku|melalui|sesuai|menurut|berdasarkan|juncto|jo|ada|(?-i:me(?!nteri)[mn][a-z]{4,}|di(?:atur|sebut|ubah|nyatakan)[a-z]*)"
    r")(?!\w)",
    re.I,
)
_TITLE_STOPS = re.compile(r"[,()\n]")
# A document that is none of ours, or a law by a name that is not in the table: the article in front of it is that one's.
_FOREIGN = re.compile(
    r"\s{0,9},?\s{0,9}(?:dari\s{1,9}|dalam\s{1,9}|pada\s{1,9})?(?:(?:uu|undang\s?-?\s?undang)\s{1,9}(?:tentang\s|(?-i:[A-Z]))|uu[a-ce-z]|kuh|kitab|per(?!tama|nah|lu\b)[a-z]+\b|konvensi|anggaran"
    r"|ad\s?/\s?art|statuta|kontrak|pedoman|piagam|kode\s{1,9}etik|tata\s{1,9}tertib|surat|akta|naskah|ruu|raperda|rancangan)",
    re.I,
)
_POINTS = re.compile(r"\s{1,9}(?:tersebut|itu|ini|dimaksud|tsb)(?!\w)", re.I)
_NO_PATH: Path = (None, None, None, None)


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


@dataclass(frozen=True, slots=True)
class _Mention:
    """An instrument and its articles, with offsets into normalised text."""

    start: int
    end: int
    ids: tuple[RegulationId, ...]
    source: Instrument
    paths: tuple[Path, ...] = (_NO_PATH,)
    back: bool = False


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
    if not _TRIGGER.search(normalised.text):
        return []
    found: list[Citation] = []
    for mention in _mentions(normalised.text, date):
        start, end = normalised.source_span(mention.start, mention.end)
        found.extend(_citations(mention, start, end, text[start:end], _title(normalised.text, mention)))
    return sorted(found, key=lambda citation: (citation.start, citation.canonical))


def _mentions(text: str, day: date | None) -> Iterator[_Mention]:
    atoms: list[Instrument | Fragment] = sorted([*instruments(text, day), *fragments(text)], key=lambda atom: atom.start)
    context = _Context()
    index, reached = 0, 0
    while index < len(atoms):
        atom, following = atoms[index], atoms[index + 1] if index + 1 < len(atoms) else None
        index += 1
        if atom.start < reached or _in_title(text, atom, reached):
            continue
        if isinstance(atom, Fragment):
            if isinstance(following, Instrument) and _leads(text, atom, following):
                index += 1
                found = context.resolve(_Mention(atom.start, following.end, following.ids, following, atom.paths))
            else:
                found = context.article(text, atom)
        elif isinstance(following, Fragment) and _follows(text, atom, following, atoms[index + 1] if index + 1 < len(atoms) else None):
            index += 1
            found = context.resolve(_Mention(atom.start, following.end, atom.ids, atom, following.paths))
        else:
            found = context.resolve(_Mention(atom.start, atom.end, atom.ids, atom))
        if found:
            reached = found.end
            yield found


def _leads(text: str, fragment: Fragment, instrument: Instrument) -> bool:
    """Tell whether an article stands before its law: `Pasal 280 UU Pemilu`."""
    return instrument.start - fragment.end <= 20 and _LINK_BEFORE.fullmatch(text, fragment.end, instrument.start) is not None


def _follows(text: str, instrument: Instrument, fragment: Fragment, after: Instrument | Fragment | None) -> bool:
    """Tell whether an article stands behind its law, directly or behind the law's title."""
    between = text[instrument.end : fragment.start]
    if len(between) > _TITLE_CHARS:
        return False
    if isinstance(after, Instrument) and _leads(text, fragment, after) and ("," in between or "," not in text[fragment.end : after.start]):
        return False  # it leads the next law: `UU 5/2014, Pasal 9 PP 94/2021`
    if _LINK_AFTER.fullmatch(between):
        return True
    head = _TITLE_HEAD.match(between)
    return head is not None and not _TITLE_ENDS.search(between, head.end())


def _title(text: str, mention: _Mention) -> str:
    """Return the title that stands behind a mention's law, empty if none does."""
    if mention.back or mention.source.alone:
        return ""
    end = mention.source.end
    head = _TITLE_HEAD.match(text, end, end + _TITLE_CHARS)
    if head is None:
        return ""
    rest = text[head.end() : head.end() + _TITLE_CHARS]
    stop = min((found.start() for pattern in (_TITLE_ENDS, _TITLE_STOPS) if (found := pattern.search(rest))), default=len(rest))
    return " ".join(rest[:stop].split())


def _in_title(text: str, atom: Instrument | Fragment, reached: int) -> bool:
    """Tell whether a code is only the title of the law before it: `UU Nomor 8 Tahun 1981 tentang KUHAP`."""
    if not isinstance(atom, Instrument) or atom.type not in ("kuhp", "kuhap") or not reached:
        return False
    return atom.start - reached <= 80 and _TITLE_HEAD.fullmatch(text, reached, atom.start) is not None


class _Context:
    """What an article has cited so far."""

    def __init__(self) -> None:
        self._last: dict[str, _Mention] = {}
        self._articles: _Mention | None = None
        self._by_pasal: dict[str, _Mention] = {}

    def resolve(self, mention: _Mention) -> _Mention | None:
        """Fill in what a mention points back to; None if nothing fits."""
        if not mention.ids:
            before = self._last.get(_family(mention.source.type))
            if before is None:
                return None
            mention = replace(mention, ids=before.ids[-1:], source=before.source, back=True)
        self._last[_family(mention.ids[-1].type)] = mention
        if mention.source.articles:
            self._articles = mention
            self._by_pasal.update({path[0]: mention for path in mention.paths if path[0]})
        return mention

    def article(self, text: str, fragment: Fragment) -> _Mention | None:
        """Give a bare article the law cited last; `Pasal 71 tersebut` the law whose Pasal 71 was cited."""
        if _FOREIGN.match(text, fragment.end):
            return None
        points = _POINTS.match(text, fragment.end)
        before = self._by_pasal.get(fragment.paths[0][0] or "") if points else None
        before = before or self._articles
        if before is None:
            return None
        end = points.end() if points else fragment.end
        return self.resolve(_Mention(fragment.start, end, before.ids[-1:], before.source, fragment.paths, True))


def _family(type_id: str) -> str:
    """Return what a word that points back can tell apart: `permen itu` is any ministry's."""
    return next((family for family in ("permen", "kepmen", "putusan") if type_id.startswith(family)), type_id)


def _citations(mention: _Mention, start: int, end: int, surface: str, about: str) -> Iterator[Citation]:
    for each in mention.ids:
        plain = format_id(each)
        title = gazetteer().title(each)
        title = nicknames().titles.get(plain, title) if not title else title
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
