"""Finds the day of an article in the fields that crawls carry."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from typing import Any

# In this order: the day of publication before that of the crawl.
FIELDS = (
    "date",
    "published",
    "published_at",
    "publish_date",
    "date_published",
    "datepublished",
    "pubdate",
    "tanggal",
    "tanggal_terbit",
    "tgl",
    "waktu",
    "created_at",
)
_MONTHS = ("jan", "feb", "mar", "apr", "mei", "jun", "jul", "agu", "sep", "okt", "nov", "des")
_ENGLISH = {"may": 5, "aug": 8, "agt": 8, "ags": 8, "oct": 10, "dec": 12}
_MONTH = {name: n for n, name in enumerate(_MONTHS, 1)} | _ENGLISH
_YEAR_FIRST = re.compile(r"(?<!\d)(?P<y>(?:19|20)\d\d)[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)")
_DAY_FIRST = re.compile(r"(?<!\d)(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>(?:19|20)\d\d)(?!\d)")
_NAMED = re.compile(r"(?<!\d)(?P<d>\d{1,2})[\s-]{1,3}(?P<m>[A-Za-z]{3})[A-Za-z]{0,6}[\s,-]{1,3}(?P<y>(?:19|20)\d\d)(?!\d)")


def read_date(text: str) -> date | None:
    """Read a date as Indonesian pages and scrapers write it, day before month; None if there is none.

    >>> read_date("Senin, 12 Agustus 2024 | 08.30 WIB"), read_date("2023-10-31T07:00:00+07:00"), read_date("3/7/2022"), read_date("kemarin")
    (datetime.date(2024, 8, 12), datetime.date(2023, 10, 31), datetime.date(2022, 7, 3), None)
    """
    for pattern in (_YEAR_FIRST, _DAY_FIRST, _NAMED):
        match = pattern.search(text, 0, 200)
        if match is None:
            continue
        month = int(match["m"]) if match["m"].isdecimal() else _MONTH.get(match["m"].lower(), 0)
        with suppress(ValueError):
            return date(int(match["y"]), month, int(match["d"]))
    return None


def article_date(meta: Mapping[str, Any]) -> date | None:
    """Return the day that the first usable field of FIELDS gives, whatever the case of its name."""
    fields = {key.lower(): value for key, value in meta.items()}
    found = (read_date(value) for name in FIELDS if isinstance(value := fields.get(name), str))
    return next((day for day in found if day), None)
