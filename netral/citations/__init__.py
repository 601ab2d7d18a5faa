"""References to regulations as data: from Indonesian prose to canonical ids with offsets."""

from netral.citations.grammar import RegulationId, format_id, parse_id
from netral.citations.linker import Citation, find_citations

__all__ = ["Citation", "RegulationId", "find_citations", "format_id", "parse_id"]
