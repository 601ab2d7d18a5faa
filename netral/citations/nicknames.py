"""Resolves a name like `UU ASN` to the law that it meant on a given day."""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

import yaml

from netral.citations.grammar import RegulationId, parse_id
from netral.citations.types import SP, S, spelling


@dataclass(frozen=True, slots=True)
class _Law:
    id: RegulationId
    since: date


class Nicknames:
    """The table of nicknames.yaml.

    Attributes:
        replaced: For the canonical id of a law, that of the law it replaced.
        titles: For the canonical id of a law, its longest name.
    """

    def __init__(self, text: str) -> None:
        """Read the table from YAML."""
        self.replaced: dict[str, str] = {}
        self.titles: dict[str, str] = {}
        self._laws: dict[tuple[str, str], list[_Law]] = {}
        spellings: dict[str, set[str]] = {}
        for entry in yaml.safe_load(text):
            kind = entry.get("type", "uu")
            laws = [_Law(parse_id(law["id"]), law["since"]) for law in entry["laws"]]
            self.replaced.update({law["id"]: law["replaces"] for law in entry["laws"] if "replaces" in law})
            self.titles.update(dict.fromkeys((law["id"] for law in entry["laws"]), max(entry["names"], key=len)))
            for name in entry["names"]:
                self._laws[kind, _key(name)] = laws
                spellings.setdefault(kind, set()).add(spelling(re.escape(name).replace(r"\ ", " ")))
        self._patterns = {kind: _pattern(names) for kind, names in spellings.items()}

    def match(self, text: str, position: int, kind: str) -> re.Match[str] | None:
        """Match a name directly behind a type."""
        pattern = self._patterns.get(kind)
        return pattern.match(text, position) if pattern else None

    def resolve(self, kind: str, name: str, day: date | None, year: int | None = None) -> RegulationId | None:
        """Return the law that a name meant on a day, or the one of a year that stands behind the name."""
        laws = self._laws[kind, _key(name)]
        if year is not None:
            return next((law.id for law in laws if law.id.year == year), None)
        valid = [law for law in laws if day is None or law.since <= day]
        return (valid or laws[:1])[-1].id


def _pattern(names: set[str]) -> re.Pattern[str]:
    longest_first = "|".join(sorted(names, key=lambda name: (-len(name), name)))
    return re.compile(
        rf"(?:{S}\((?:uu|pp|perppu)\))?{SP}(?:(?:RI|tentang|mengenai){SP})?(?P<name>{longest_first})(?![\w-])(?:{SP}RI\b)?", re.I
    )


def _key(name: str) -> str:
    return re.sub(r"[\s\-–]", "", name).lower()


@cache
def nicknames() -> Nicknames:
    """Load the shipped table."""
    return Nicknames((files("netral.citations") / "nicknames.yaml").read_text(encoding="utf-8"))
