"""Canonical ids of regulations: the small grammar of docs/citations.md, read and written."""

import re
from dataclasses import dataclass

from netral.errors import NetralError

LEVELS = ("pasal", "ayat", "huruf", "angka")
_ID = re.compile(
    r"id/(?P<type>[a-z]+(?:-[a-z]+)*)/(?P<year>\d{4}|_)/(?P<number>[a-z\d][a-z\d.\-]*|_)"
    r"(?:#(?P<fragment>[a-z]+-[a-z\d]+(?:\.[a-z]+-[a-z\d]+)*))?"
)
_NOT_IN_NUMBER = re.compile(r"[^a-z0-9.\-]")


@dataclass(frozen=True, slots=True)
class RegulationId:
    """A regulation, or one article of it, by its parts; a part that the text does not give is None.

    Attributes:
        type: The usual abbreviation in lower case, such as ``uu`` or ``putusan-mk``.
        year: The year of four digits.
        number: The number in lower case, such as ``5`` or ``800-5474``.
        pasal: Article, such as ``280`` or ``87a``.
        ayat: Paragraph.
        huruf: Letter of a list.
        angka: Number of a list.
    """

    type: str
    year: int | None = None
    number: str | None = None
    pasal: str | None = None
    ayat: str | None = None
    huruf: str | None = None
    angka: str | None = None


def format_id(regulation: RegulationId) -> str:
    """Write a canonical id.

    >>> format_id(RegulationId("uu", 2014, "5", pasal="2", huruf="f"))
    'id/uu/2014/5#pasal-2.huruf-f'
    >>> format_id(RegulationId("kuhp"))
    'id/kuhp/_/_'
    """
    year = "_" if regulation.year is None else f"{regulation.year:04d}"
    levels = [(level, getattr(regulation, level)) for level in LEVELS]
    fragment = ".".join(f"{level}-{value}" for level, value in levels if value is not None)
    return f"id/{regulation.type}/{year}/{regulation.number or '_'}" + (f"#{fragment}" if fragment else "")


def parse_id(canonical: str) -> RegulationId:
    """Read a canonical id back: ``parse_id(format_id(x)) == x``.

    Raises:
        NetralError: The text is no canonical id.

    >>> parse_id("id/uu/2017/7#pasal-280.ayat-2.huruf-f").huruf
    'f'
    """
    match = _ID.fullmatch(canonical)
    parts = [part.split("-", 1) for part in (match["fragment"] or "").split(".") if part] if match else []
    order = [LEVELS.index(name) if name in LEVELS else -1 for name, _ in parts]
    if match is None or -1 in order or sorted(set(order)) != order:
        raise NetralError(
            f"{canonical!r}: not a canonical id of a regulation",
            "write id/TYPE/YEAR/NUMBER[#pasal-N.ayat-N.huruf-x.angka-N], for example id/uu/2014/5#pasal-2.huruf-f",
        )
    year, number = match["year"], match["number"]
    return RegulationId(match["type"], None if year == "_" else int(year), None if number == "_" else number, **dict(parts))


def canonical_number(written: str) -> str:
    """Give a number the form it has in an id.

    >>> canonical_number("B/71/M.SM.00.00/2017"), canonical_number("PM 12")
    ('b-71-m.sm.00.00-2017', 'pm12')
    """
    return _NOT_IN_NUMBER.sub("-", "".join(written.lower().split())).strip("-.")
