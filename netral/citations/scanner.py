"""Finds instruments in normalised text: a type with its number, a nickname, or a word that points back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from netral.citations.grammar import RegulationId
from netral.citations.nicknames import nicknames
from netral.citations.numbers import ISSUER_YEAR, NUMBER, YEAR_ONLY, court, listed_numbers, read_number, read_year
from netral.citations.types import MINISTRY, MINISTRY_NAMES, SP, TYPE, TYPES, S, Type

# What no name of an issuer or title between type and number holds. The type words keep `UU Pemilu dan PP Nomor 94` apart.
_STOP = (
    r"(?!(?:nomor|nomer|no|n0|tahun|thn|pasal|ayat|yang|tersebut|itu|ini|adalah|ialah|akan|telah|sudah|belum|tidak|bahwa|karena|agar|oleh"
    r"|sebagai\w*|laporan|register|registrasi|surat|berita|urut|urutan|calon|paslon|pasangan|telepon|rekening|polisi|kasus"
    r"|saat|ketika|untuk|sehingga|namun|tetapi|sedangkan|kata|ujar|menurut|rancangan|putusan|undang|uu|pp|per(?:aturan|pres|ppu|men\w*|da|gub|bup"
    r"|wali|bawaslu|ma|pol|kap)|kep(?:utusan|pres|men\w*)|pkpu|skb|edaran|instruksi|inpres|qanun|jo|juncto)\b)(?!(?-i:SE|SK|me[mn][a-z]{4,}"
    r"|di(?:atur|tandatangani|sebut\w*|ubah|anggap|berlakukan|terbitkan))\b)"
)
_WORD = rf"(?:\([^()\n]{{1,40}}\)|{_STOP}[a-z][\w.'’&/\-]{{0,30}}+)"
_GAPS = {
    "none": r"(?:\s{1,9}(?:RI|NRI|Republik\s{1,9}Indonesia|\([^()\n]{1,40}\))){0,2}",
    "issuer": rf"(?:{SP}{_WORD}){{0,8}}?",
    "title": rf"(?:{S}(?:,{S}|\s){_WORD}){{0,12}}?",
    "issuers": rf"(?:{S}(?:,{S}|\s)(?:\d(?={SP}menteri)|(?-i:[A-Z]\d[A-Z]\b)|{_WORD})){{0,30}}?",
    "case": rf"(?:{SP}(?:RI|atas|dalam|terkait|perkara|uji|materi|{_WORD})){{0,5}}?",
}
_TAILS = {name: re.compile(rf"(?P<gap>{gap}){S}[.:,\-–]?{S}{NUMBER}", re.I) for name, gap in _GAPS.items()}
BACK = re.compile(r"\s{1,9}(?:tersebut|itu|ini|dimaksud|tsb)(?!\w)", re.I)
_NOT_BEFORE = re.compile(
    r"(?:\bruu|rancangan(?:\s{1,3}undang\W{0,3}undang)?(?:\s{1,3}\(ruu\))?(?:\s{1,3}tentang)?|\b(?:jalan|jl\.?|gang|gg\.?))\s{1,3}$", re.I
)
_BEFORE_CHARS = 45
_NO_NAME = re.compile(r"\([^()]*\)|^\s{0,9}dari\b|\b(?:NRI|RI|Republik\s{1,9}Indonesia)\b", re.I)
_TITLE_WORD = re.compile(r"(?:tentang|mengenai)\s{1,9}", re.I)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A stretch that names one or more regulations, or points back to one.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        type: The type's id.
        ids: The regulations named; empty where it points back.
        issuer: Who issued it, as far as the text or the type says.
        about: A title that stands between type and number.
        articles: Whether a bare `Pasal 5` behind it can mean it.
        alone: Whether the type is the instrument (KUHP), so that a title behind it is that of an article.
    """

    start: int
    end: int
    type: str
    ids: tuple[RegulationId, ...] = ()
    issuer: str = ""
    about: str = ""
    articles: bool = True
    alone: bool = False


def instruments(text: str, day: date | None = None) -> Iterator[Instrument]:
    """Yield the instruments of a text in order; a name like `UU ASN` means the law of that day."""
    position = 0
    while match := TYPE.search(text, position):
        found = None if _NOT_BEFORE.search(text, max(0, match.start() - _BEFORE_CHARS), match.start()) else _instrument(text, match, day)
        if found:
            yield found
        position = found.end if found else match.end()


def _instrument(text: str, match: re.Match[str], day: date | None) -> Instrument | None:
    kind = TYPES[int((match.lastgroup or "t0")[1:])]
    start, end, type_id, issuer = match.start(), match.end(), kind.id, kind.issuer
    if kind.alone:
        law = RegulationId(type_id, 1945 if type_id == "uud" else None)
        return Instrument(start, end, type_id, (law,), issuer, kind.title, alone=True)
    if type_id in ("permen", "kepmen"):
        ministry = MINISTRY.match(text, end)
        if ministry is None and not match[0].lower().startswith(("peraturan menteri", "keputusan menteri")):
            return _back(text, start, end, kind, type_id)
        issuer = "Menteri"
        if ministry:
            type_id += ministry.lastgroup or ""
            issuer = f"Menteri {MINISTRY_NAMES[ministry.lastgroup or '']}"
            end = ministry.end()
    numbered = _TAILS[kind.gap].match(text, end)
    return (
        (_numbered(text, start, numbered, kind, type_id, issuer) if numbered else None)
        or _back(text, start, end, kind, type_id)
        or _named(text, start, end, kind, day)
        or _of_year(text, start, end, kind, type_id, issuer)
    )


def _numbered(text: str, start: int, match: re.Match[str], kind: Type, type_id: str, issuer: str) -> Instrument | None:
    if type_id == "putusan":
        type_id = court(match["value"]) or ""
    first = read_number(match, type_id)
    if first is None or not type_id:
        return None
    numbers, end = listed_numbers(text, match.end(), first, type_id)
    if type_id == "skb" or (type_id == "se" and "bersama" in text[start : match.start("value")].lower()):
        # One decree of several ministers, each with his own number: the first one names it.
        numbers = numbers[:1]
    gap = "" if kind.gap == "case" else match["gap"]
    words = " ".join(_NO_NAME.sub(" ", gap).split()).strip(" ,")
    title = _TITLE_WORD.match(words) is not None or (kind.gap == "title" and not issuer)
    ids = tuple(RegulationId(type_id, number.year, number.number) for number in numbers)
    about = _TITLE_WORD.sub("", words) if title else ""
    return Instrument(start, end, type_id, ids, issuer if title else " ".join([issuer, words]).strip(), about, kind.articles)


def _back(text: str, start: int, end: int, kind: Type, type_id: str) -> Instrument | None:
    match = BACK.match(text, end)
    return Instrument(start, match.end(), type_id, articles=kind.articles) if match else None


def _named(text: str, start: int, end: int, kind: Type, day: date | None) -> Instrument | None:
    table = nicknames()
    match = table.match(text, end, kind.id)
    if match is None:
        return None
    year = YEAR_ONLY.match(text, match.end())
    law = table.resolve(kind.id, match["name"], day, read_year(year["year"])) if year else None
    if year and law:
        return Instrument(start, year.end(), law.type, (law,), about=match["name"])
    law = table.resolve(kind.id, match["name"], day)
    return Instrument(start, match.end(), law.type, (law,), about=match["name"]) if law else None


def _of_year(text: str, start: int, end: int, kind: Type, type_id: str, issuer: str) -> Instrument | None:
    match = YEAR_ONLY.match(text, end) if kind.year_only else None
    if match is None and kind.gap in ("issuer", "issuers") and type_id != "skb":
        match = ISSUER_YEAR.match(text, end)
        issuer = f"{issuer} {match['issuer']}".strip() if match else issuer
    if match is None:
        return None
    return Instrument(start, match.end(), type_id, (RegulationId(type_id, read_year(match["year"])),), issuer, "", kind.articles)
