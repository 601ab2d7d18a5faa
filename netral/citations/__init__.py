"""References to regulations as data: from Indonesian prose to canonical ids with offsets."""

from netral.citations.find import Citation, find_citations, may_cite
from netral.citations.grammar import RegulationId, format_id, parse_id

__all__ = ["Citation", "RegulationId", "find_citations", "format_id", "may_cite", "parse_id"]
