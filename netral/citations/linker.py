"""Joins instruments and articles into mentions and resolves what points back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from netral.citations.fragments import Fragment, Path, fragments
from netral.citations.grammar import RegulationId
from netral.citations.scanner import BACK, Instrument, instruments
from netral.citations.titles import TITLE_CHARS, is_title, is_title_head
from netral.citations.types import SP, S

_LINK_BEFORE = re.compile(rf"[\s,]*(?:(?:dari|dalam|pada|di|juga){SP})?[\"“'(]?", re.I)
_LINK_BEFORE_CHARS = 20
_LINK_AFTER = re.compile(rf"{S}(?:\([^()\n]{{1,60}}\){S})?[\s,:(]*")
# A document that is none of ours, or a law by a name that is not in the table: the article in front of it is that one's.
_FOREIGN = re.compile(
    rf"{S},?{S}(?:(?:dari|dalam|pada){SP})?"
    rf"(?:(?:uu|undang\s?-?\s?undang){SP}(?:tentang\s|(?-i:[A-Z]))|uu[a-ce-z]|kuh|kitab|per(?!tama|nah|lu\b)[a-z]+\b|konvensi|anggaran"
    rf"|ad\s?/\s?art|statuta|kontrak|pedoman|piagam|kode{SP}etik|tata{SP}tertib|surat|akta|naskah|ruu|raperda|rancangan)",
    re.I,
)
_NO_PATH: Path = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Mention:
    """An instrument and its articles, with offsets into normalised text.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        ids: The regulations meant.
        source: The instrument that names them, which is another one where the mention points back.
        paths: The articles cited of each.
        back: Whether it points back.
    """

    start: int
    end: int
    ids: tuple[RegulationId, ...]
    source: Instrument
    paths: tuple[Path, ...] = (_NO_PATH,)
    back: bool = False


def mentions(text: str, day: date | None) -> Iterator[Mention]:
    """Yield the mentions of normalised text in order; nicknames mean the law of that day."""
    atoms: list[Instrument | Fragment] = sorted([*instruments(text, day), *fragments(text)], key=lambda atom: atom.start)
    context = _Context()
    index, reached = 0, 0
    while index < len(atoms):
        atom, following = atoms[index], atoms[index + 1] if index + 1 < len(atoms) else None
        index += 1
        if atom.start < reached or _is_own_title(text, atom, reached):
            continue
        if isinstance(atom, Fragment):
            if isinstance(following, Instrument) and _leads(text, atom, following):
                index += 1
                found = context.resolve(Mention(atom.start, following.end, following.ids, following, atom.paths))
            else:
                found = context.article(text, atom)
        elif isinstance(following, Fragment) and _follows(text, atom, following, atoms[index + 1] if index + 1 < len(atoms) else None):
            index += 1
            found = context.resolve(Mention(atom.start, following.end, atom.ids, atom, following.paths))
        else:
            found = context.resolve(Mention(atom.start, atom.end, atom.ids, atom))
        if found:
            reached = found.end
            yield found


def _leads(text: str, fragment: Fragment, instrument: Instrument) -> bool:
    """Tell whether an article stands before its law: `Pasal 280 UU Pemilu`."""
    return (
        instrument.start - fragment.end <= _LINK_BEFORE_CHARS and _LINK_BEFORE.fullmatch(text, fragment.end, instrument.start) is not None
    )


def _follows(text: str, instrument: Instrument, fragment: Fragment, after: Instrument | Fragment | None) -> bool:
    """Tell whether an article stands behind its law, directly or behind the law's title."""
    between = text[instrument.end : fragment.start]
    if len(between) > TITLE_CHARS:
        return False
    if isinstance(after, Instrument) and _leads(text, fragment, after) and ("," in between or "," not in text[fragment.end : after.start]):
        return False  # it leads the next law: `UU 5/2014, Pasal 9 PP 94/2021`
    if _LINK_AFTER.fullmatch(between):
        return True
    return is_title(between)


def _is_own_title(text: str, atom: Instrument | Fragment, reached: int) -> bool:
    """Tell whether a code is only the title of the law before it: `UU Nomor 8 Tahun 1981 tentang KUHAP`."""
    if not isinstance(atom, Instrument) or atom.type not in ("kuhp", "kuhap") or not reached:
        return False
    return atom.start - reached <= TITLE_CHARS and is_title_head(text[reached : atom.start])


class _Context:
    """What an article has cited so far."""

    def __init__(self) -> None:
        self._last: dict[str, Mention] = {}
        self._articles: Mention | None = None
        self._by_pasal: dict[str, Mention] = {}

    def resolve(self, mention: Mention) -> Mention | None:
        """Fill in what a mention points back to; None if nothing fits."""
        if not mention.ids:
            before = self._last.get(_family(mention.source.type))
            if before is None:
                return None
            mention = replace(mention, ids=before.ids[-1:], source=before.source, back=True)
        self._last[_family(mention.ids[-1].type)] = mention
        # `Pancasila dan UUD 1945` is no law that the next bare article could be from, unless it is the only one.
        ritual = mention.source.type == "uud" and mention.paths == (_NO_PATH,) and self._articles is not None
        if mention.source.articles and not ritual:
            self._articles = mention
            self._by_pasal.update({path[0]: mention for path in mention.paths if path[0]})
        return mention

    def article(self, text: str, fragment: Fragment) -> Mention | None:
        """Give a bare article the law cited last; `Pasal 71 tersebut` the law whose Pasal 71 was cited."""
        if _FOREIGN.match(text, fragment.end):
            return None
        points = BACK.match(text, fragment.end)
        before = self._by_pasal.get(fragment.paths[0][0] or "") if points else None
        before = before or self._articles
        if before is None:
            return None
        end = points.end() if points else fragment.end
        return self.resolve(Mention(fragment.start, end, before.ids[-1:], before.source, fragment.paths, True))


def _family(type_id: str) -> str:
    """Return what a word that points back can tell apart: `permen itu` is any ministry's."""
    return next((family for family in ("permen", "kepmen", "putusan") if type_id.startswith(family)), type_id)
