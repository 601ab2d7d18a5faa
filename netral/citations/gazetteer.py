"""Facts about laws in force or once in force: type, number, year and title, from laws.jsonl.gz."""

import gzip
import json
from functools import cache
from importlib.resources import files

from netral.citations.grammar import RegulationId

FACTS = "laws.jsonl.gz"


class Gazetteer:
    """Looks regulations up.

    Example:
        >>> from netral.citations import parse_id
        >>> gazetteer().title(parse_id("id/uu/2014/5"))
        'Aparatur Sipil Negara'
    """

    def __init__(self, rows: list[tuple[str, int, str, str]]) -> None:
        """Keep the rows by type, year and number."""
        self._titles = {(type_id, year, number): title for type_id, year, number, title in rows}

    def title(self, regulation: RegulationId) -> str | None:
        """Return the title of a regulation (empty where unknown), its articles apart, or None if it is not in the facts."""
        return self._titles.get((regulation.type, regulation.year or 0, regulation.number or ""))


@cache
def gazetteer() -> Gazetteer:
    """Load the shipped facts, about 15 ms once."""
    data = gzip.decompress((files("netral.citations") / FACTS).read_bytes()).decode("utf-8")
    return Gazetteer([tuple(json.loads(line)) for line in data.splitlines()])
