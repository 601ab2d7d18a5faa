"""Reads the title behind a law: `UU Nomor 6 Tahun 2014 tentang Desa`."""

import re

from netral.citations.types import SP, S

# How far a law's title may reach before the article behind it; the longest title in the gazetteer has about 300 characters.
TITLE_CHARS = 320
_HEAD = re.compile(rf"{S}(?:\([^()\n]{{1,60}}\){S})?,?{S}(?:tentang|ttg\.?|mengenai){SP}", re.I)
_ENDS = re.compile(
    r"[.;:!?\"“”]|\n\s{0,9}\n|\b(?:yang|bahwa|telah|sudah|akan|adalah|sebagaimana|khususnya|terutama|karena|agar|saat|ketika|kata|ujar|tersebut|juga"
    r"|itu|ini|dengan ancaman|guna|berbunyi|berlaku|melalui|sesuai|menurut|berdasarkan|juncto|jo|ada"
    r"|(?-i:me(?!nteri)[mn][a-z]{4,}|di(?:atur|sebut|ubah|nyatakan)[a-z]*))(?!\w)",
    re.I,
)
_STOPS = re.compile(r"[,()\n]")


def is_title_head(between: str) -> bool:
    """Tell whether a text only leads to a title, as in `… tentang`."""
    return _HEAD.fullmatch(between) is not None


def is_title(between: str) -> bool:
    """Tell whether a text between a law and an article is the law's title and nothing more.

    >>> is_title(" tentang Pemilihan Umum, "), is_title(" tentang Pemilu yang memuat ")
    (True, False)
    """
    head = _HEAD.match(between)
    return head is not None and not _ENDS.search(between, head.end())


def title_behind(text: str, end: int) -> str:
    """Return the title that stands behind a law, cut at the first mark or word that no title holds; empty if there is none.

    >>> title_behind("UU 6/2014 tentang Desa mengatur", 9)
    'Desa'
    """
    head = _HEAD.match(text, end, end + TITLE_CHARS)
    if head is None:
        return ""
    rest = text[head.end() : head.end() + TITLE_CHARS]
    stop = min((found.start() for pattern in (_ENDS, _STOPS) if (found := pattern.search(rest))), default=len(rest))
    return " ".join(rest[:stop].split())
