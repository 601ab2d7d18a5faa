"""Reads the number and year behind a type: `Nomor 5 Tahun 2014`, `No. 5/2014`, `Nomor B/71/M.SM.00.00/2017`."""

import re
from dataclasses import dataclass

from netral.citations.grammar import canonical_number
from netral.citations.types import SP, S

# OCR writes O for 0 and l for 1: `N0. 5 Tahun 2O14`.
_YEAR = r"(?:1[89]|2[0o])[\doli]{2}(?!\d)"
_OCR = str.maketrans("OoLlIi", "001111")
_TAHUN = r"(?:tahun|thn\b\.?|th\b\.?)"
_PIECE = r"(?:\d{1,8}(?=tahun|th)|\d{1,8}[a-z]{0,2}(?![^\W\d_])|(?-i:[A-Z]{1,14}|[a-z]{1,14})\d{0,4}(?![^\W\d_]))"
_DOTTED = rf"{_PIECE}(?:[.\-‑–]{_PIECE}){{0,8}}"
# Behind a full stop a word of mixed case belongs to the number only if that goes on, and none behind a year:
# `18/2016.Menurut`, `115-Bag.Pem/2020`, `114/PUU-XXIII/2025.MK`.
_NAME = rf"(?:[a-z]{{1,14}}(?![^\W_])|{_PIECE})"
_SLASHED = rf"(?!tahun|tentang|tanggal){_NAME}(?:(?<!/20\d\d)\.(?:{_PIECE}|[a-z]{{1,14}}(?=[./\-]\w))|[\-‑–]{_NAME}){{0,8}}"
# `PM 12`: a ministry's mark stands before the number; `57 P/HUM/2019`: the Supreme Court's behind it.
_VALUE = rf"(?:(?-i:[A-Z]{{2,5}})\s(?=\d))?{_DOTTED}(?:\s?[a-z]{{1,2}}(?=\s?/))?(?:\s{{0,2}}/\s{{0,2}}{_SLASHED}){{0,9}}"
# Without the word `Nomor` only what brings a year: `PP 94/2021`, `PKPU 8 dan 10 Tahun 2024`, `TAP MPR VI/MPR/2001`, `UU 22/99`.
_BARE = (
    rf"(?=\d{{1,4}}[a-z]?(?:\s{{0,3}}(?:,|,?\s?dan)\s{{1,3}}\d{{1,4}}[a-z]?){{0,6}}(?:\s?/\s?|{S},?{S}{_TAHUN}{S}){_YEAR}"
    rf"|\d[\w.\-]{{0,30}}(?:/[\w.\-]{{1,30}}){{0,6}}/{_YEAR}|\d{{1,3}}/\d\d(?![\d/.])|[IVXLC]{{1,7}}\s?/\s?MPR)"
)
NUMBER = (
    rf"(?:(?P<key>(?:ber)?nomor|nomer|n[o0](?!mor|mer))\s?[.:]{{0,2}}{S}|{_BARE})(?P<value>{_VALUE})"
    # `No. 11 2022`: some leave the word out.
    rf"(?:(?:{S}[,/]?{S}{_TAHUN}{S}|(?<=\d)\s)(?P<year>{_YEAR}))?"
)
_ONLY = rf"(?:RI\s|Republik{SP}Indonesia\s)?{S}{_TAHUN}{S}(?P<year>{_YEAR})"
YEAR_ONLY = re.compile(rf"{S}(?:\([^()\n]{{1,30}}\){S})?{_ONLY}", re.I)
# `Perda Kota Padang Tahun 2005`: the words between must begin with an office or a region and be names.
ISSUER_YEAR = re.compile(
    r"\s{1,9}(?P<issuer>(?:kota|kabupaten|kab\.|provinsi|prov\.|bupati|gubernur|wali\s?kota|menteri|men(?=[a-z])|kapolri|sekda|kepala|ketua|dirjen|dki)"
    r"(?-i:[a-z]{0,12}(?:\s[A-Z][\w.\-]{0,20}){0,4}))\s{1,9}" + _ONLY,
    re.I,
)
_NEXT = re.compile(rf"{S}(?:,{S}(?:(?:dan|serta|juncto|jo\.?){SP})?|(?<=\s)(?:dan|serta|&|juncto|jo\.?){SP}){NUMBER}", re.I)
# A decree of several ministers has a number from each; five are usual.
_MAX_LISTED = 20
_YEAR_AT_END = re.compile(rf"[/\-](?P<year>{_YEAR})$", re.I)
_PLAIN = re.compile(rf"(?P<number>\d[\dOol]{{0,3}}[a-z]?){S}[/.\-]{S}(?P<year>{_YEAR}|(?<=/)\d\d)", re.I)
_DIGITS = re.compile(r"\d[\dOol]*")
_DATE = re.compile(r"\d{1,2}[/\-]\d{1,2}[/\-]\d{4}")
_ROMAN = re.compile(r"[IVXLC]{1,7}")
# What a number says about the court whose ruling it is.
_COURTS = (
    (re.compile(r"/PUU\b", re.I), "putusan-mk"),
    (re.compile(r"PKE-DKPP", re.I), "putusan-dkpp"),
    (re.compile(r"P\s?/\s?HUM/|\d\s?(?:P?K|P)\s?/\s?(?:Pid|Pdt|TUN|Ag)", re.I), "putusan-ma"),
)


@dataclass(frozen=True, slots=True)
class Number:
    """One number of an instrument in canonical form; None for what the text does not give."""

    number: str | None
    year: int | None


def read_year(text: str) -> int:
    """Read a year, OCR errors included.

    >>> read_year("2O14")
    2014
    """
    return int(text.translate(_OCR))


def read_number(match: re.Match[str], type_id: str) -> Number | None:
    """Turn a match of NUMBER into number and year, or None if it is no regulation's number (`Nomor urut`)."""
    value, year = match["value"], match["year"]
    plain = None if year else _PLAIN.fullmatch(value)
    if plain:
        return Number(_clean(plain["number"]), _full_year(plain["year"]))
    if not any(c.isdigit() for c in value) and not _ROMAN.fullmatch(value):
        return None
    if _DATE.fullmatch(value):
        return None
    at_end = _YEAR_AT_END.search("".join(value.split()))
    found = year or (at_end["year"] if at_end else None)
    if type_id in ("putusan-mk", "tap-mpr"):
        # `136/PUU-XXII/2024`, `XI/MPR/1998`: what follows is said by type and year.
        value = value.split("/")[0]
    return Number(_clean(value), read_year(found) if found else None)


def _clean(value: str) -> str:
    return canonical_number(value.translate(_OCR) if _DIGITS.fullmatch(value) else value)


def _full_year(year: str) -> int:
    """Read `99` as 1999 and `04` as 2004; the first law of the republic is of 1945.

    >>> _full_year("99"), _full_year("04"), _full_year("2014")
    (1999, 2004, 2014)
    """
    return read_year(year) if len(year) == 4 else int(year) + (1900 if int(year) >= 45 else 2000)


def court(value: str) -> str | None:
    """Tell from a ruling's number which court gave it.

    >>> court("90/PUU-XXI/2023"), court("12/Pid.B/2020/PN Jkt")
    ('putusan-mk', None)
    """
    return next((type_id for pattern, type_id in _COURTS if pattern.search(value)), None)


def listed_numbers(text: str, end: int, first: Number, type_id: str) -> tuple[list[Number], int]:
    """Read on behind a first number (`Nomor 23 dan 24 Tahun 2014`); return all numbers and where the last ends."""
    found = [first]
    while len(found) < _MAX_LISTED and (match := _NEXT.match(text, end)):
        number = read_number(match, type_id)
        if number is None:
            break
        found.append(number)
        end = match.end()
    year: int | None = None
    for index in range(len(found) - 1, -1, -1):
        # A number without a year shares that of the next one.
        year = found[index].year or year
        found[index] = Number(found[index].number, year)
    return found, end
