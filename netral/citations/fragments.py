"""Reads the parts of a regulation: `Pasal 71 ayat 1 dan 2 jo. Pasal 188` names three articles."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from netral.citations.grammar import LEVELS
from netral.citations.types import SP, S

# So that `Pasal 1 sampai 9999` is no flood: a longer range gives its two ends.
_MAX_RANGE = 60
# And a list of thousands is no citation; the longest read in 3,000 news articles had eleven.
_MAX_CHAIN = 100
# The income tax article by article: `PPh Pasal 21` is a tax, not a citation.
_TAX = re.compile(r"(?:\bPPh|pajak penghasilan|\(PPh\))\s{0,3}$", re.I)
_LEVEL = re.compile(
    r"(?<![^\W\d_])((?:pasal\s?-\s?)?pasa[l1|]|psl\.?|ps\.|ayat|huruf|angka|ke(?=\s?-?\s?\d|\s(?:satu|dua|tiga|empat)\b))(?![^\W\d_])\s{0,9}",
    re.I,
)
_END = r"(?:(?!\w)|(?=(?:ayat|huruf|angka|uu|undang)(?![a-z])|jo\b))"
_LETTER = r"(?:[a-z]|aa|bb|cc|dd|ee|ff)"
_NUMERALS = {word: str(n) for n, word in enumerate("satu dua tiga empat lima enam tujuh delapan sembilan".split(), 1)}
_VALUES = {
    # A letter behind an article number is glued, or a capital before a level or law; `Pasal I` belongs to an amending law.
    "pasal": (
        r"\(\s?(\d{1,4}[a-z]{0,2})\s?\)"
        rf"|((?:\d{{1,4}}(?:(?!uu)[a-z]{{1,2}}?|-(?-i:[A-Z])(?!\w)|\s(?-i:[A-Z])(?={SP}(?:ayat|huruf|uu|undang)))?|(?-i:[IVX]{{1,4}})){_END})"
    ),
    "ayat": rf"\(\s?(\d{{1,2}}[a-z]?)\s?\)|(\d{{1,2}}[a-z]??{_END}|(?:{'|'.join(_NUMERALS)})\b)",
    "huruf": rf"\(\s?({_LETTER})\s?\)|[\"“'‘]?({_LETTER}(?!\w))[\"”'’]?",
    "angka": rf"\(\s?(\d{{1,3}}[a-z]?)\s?\)|-?\s?(\d{{1,3}}[a-z]??{_END}|(?:{'|'.join(_NUMERALS)})\b)",
}
# `Pasal 55 ayat (1) ke-1 KUHP`: the old code counts within a paragraph; it belongs to the mention but has no place in the id.
_READ = (*LEVELS, "ke")
_VALUE = [re.compile(_VALUES[level], re.I) for level in (*LEVELS, "angka")]
_WORDS = r"dan\s{0,9}/?\s{0,9}atau|dan|atau|serta|maupun|j[ou]ncto|junto|jis|jo\.?|(?:lebih\s{1,9})?subsid[ea]i?r"
_JOIN = re.compile(
    rf"{S}(?:(?P<range>sampai(?:{SP}dengan)?|s\.?\s?/?d\.?|hingga|[-‑–—])|,{S}(?:{_WORDS})|(?P<comma>,)|/|&|{_WORDS}){S}",
    re.I,
)
_SPACE = re.compile(r"\s{0,9}")
# `Pasal 280, 5 orang`, `Pasal 70 dan 3 ASN`: a bare number in the list is not followed by what it counts.
_COUNTED = re.compile(
    r"\s{0,9}(?:orang|tahun|bulan|hari|jam|menit|kali|juta|miliar|ribu|persen|%|asn|pns|pegawai|pejabat|kepala|camat|lurah|anggota|warga|saksi"
    r"|lembaga|pasal|kasus|daerah|desa|partai|calon|pasangan|[.,]\d|(?:jan|feb|mar|apr|mei|jun|jul|agu|sep|okt|nov|des)[a-z]*\s{1,9}\d{4})",
    re.I,
)
# `Pasal 45 ayat 1 jo 28 ayat 1`: what has a paragraph is an article.
_ARTICLE = re.compile(r"\d{1,4}[a-z]{0,2}\s{1,9}ayat\b", re.I)
# Behind a bare comma a number belongs to the list only if the list goes on, or a level or a law follows.
_GOES_ON = re.compile(r"\s{0,9}(?:,|dan\b|atau\b|serta\b|jo\b|juncto\b|ayat\b|huruf\b|angka\b|uu|undang|u\.u|pp\b|per|kuh)", re.I)

Path = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A stretch that names articles, with a path (pasal, ayat, huruf, angka) for each article named."""

    start: int
    end: int
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    level: int
    value: str
    joined: bool = False
    closes_range: bool = False


def fragments(text: str) -> Iterator[Fragment]:
    """Yield the stretches of a text that name at least one article.

    >>> [f.paths for f in fragments("Pasal 5 ayat (1) dan (2)")]
    [(('5', '1', None, None), ('5', '2', None, None))]
    """
    position = 0
    while head := _LEVEL.search(text, position):
        items, end = _chain(text, head.start())
        # Going on behind the whole chain, fitting or not, keeps the scan linear.
        position = max(end, head.end())
        if any(item.level == 0 for item in items) and not _TAX.search(text, max(0, head.start() - 24), head.start()):
            yield Fragment(head.start(), end, tuple(dict.fromkeys(path[: len(LEVELS)] for path in _paths(_outer_first(items)))))


def _chain(text: str, end: int) -> tuple[list[_Item], int]:
    """Read levels and values as long as they go on."""
    items: list[_Item] = []
    while len(items) < _MAX_CHAIN:
        join = _JOIN.match(text, end) if items else None
        begin = join.end() if join else _skip(text, end)
        head = _LEVEL.match(text, begin)
        if head is None and join is None:
            return items, end
        level = _level(head[1]) if head else 0 if _ARTICLE.match(text, begin) else items[-1].level
        value = _VALUE[level].match(text, head.end() if head else begin)
        if value is None or (join and not head and not _belongs(text, value.end(), join)):
            return items, end
        found = re.sub(r"[\s-]", "", (value[1] or value[2]).lower())
        if found in _NUMERALS and not head:
            return items, end
        items.append(_Item(level, _NUMERALS.get(found, found), bool(join and not join["comma"]), bool(join and join["range"])))
        end = value.end()
    return items, end


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _level(word: str) -> int:
    lower = word.lower()
    return 0 if lower.startswith("p") else _READ.index(lower)


def _belongs(text: str, end: int, join: re.Match[str]) -> bool:
    if _COUNTED.match(text, end):
        return False
    return not join["comma"] or _GOES_ON.match(text, end) is not None


def _outer_first(items: list[_Item]) -> list[_Item]:
    """Turn `huruf f ayat (2) Pasal 280` around."""
    first = next(i for i, item in enumerate(items) if item.level == 0)
    return sorted(items[: first + 1], key=lambda item: item.level) + items[first + 1 :]


def _paths(items: list[_Item]) -> Iterator[Path]:
    last: list[str | None] = []
    for item in items:
        if not last:
            last = [None] * len(_READ)
        elif item.closes_range and last[item.level] is not None and not any(last[item.level + 1 :]):
            yield tuple(last)
            for value in _between(last[item.level] or "", item.value):
                yield (*last[: item.level], value, *last[item.level + 1 :])
            last = [*last[: item.level], *[None] * (len(_READ) - item.level)]
        elif last[item.level] is not None or (item.joined and any(last[item.level + 1 :])):
            yield tuple(last)
            last = [*last[: item.level], *[None] * (len(_READ) - item.level)]
        last[item.level] = item.value
    yield tuple(last)


def _between(first: str, last: str) -> list[str]:
    """Return what lies between the two ends of a range.

    >>> _between("187a", "187d"), _between("1", "3"), _between("5", "a")
    (['187b', '187c'], ['2'], [])
    """
    if first.isdecimal() and last.isdecimal():
        found = [str(n) for n in range(int(first) + 1, int(last))] if int(last) - int(first) <= _MAX_RANGE else []
    elif first[:-1] == last[:-1] and first[-1].isalpha() and last[-1].isalpha():
        found = [first[:-1] + chr(n) for n in range(ord(first[-1]) + 1, ord(last[-1]))]
    else:
        found = []
    return found
