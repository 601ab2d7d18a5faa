"""Lists the regulations that files cite, one JSON row a mention: `netral cite`."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from inference.jobs.citing import citation_row
from inference.jobs.job import BytesRead, Outputs, check, finished, open_rows, refuse_nothing
from inference.jobs.rows import Tally
from netral.citations import find_citations
from netral.citations.dates import article_date
from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import STDIN
from netral.progress import Progress
from netral.records import Article, Reject, Sentence

# Raise it when a column is added, removed or changes its meaning; docs/citations.md describes the columns.
CITATION_SCHEMA = 1


def cite(inputs: Sequence[str], out: str, config: Config, *, rejects: str | None = None, overwrite: bool = False) -> dict[str, Any]:
    """Write one row for each citation of each article and return the summary; does nothing if the output is up to date.

    The text is read as delivered, without cleaning: offsets count characters of the article. An article is read whole,
    so that `undang-undang tersebut` is resolved; a row that is already a sentence is read alone, its offsets moved to
    its place in the article.

    Raises:
        NetralError: Nothing usable in the inputs, or the output exists or has a format that is not written.
    """
    if out != STDIN and not out.endswith(".jsonl"):
        raise NetralError(f"{out}: cite writes JSON lines", "name the output OUT.jsonl, or - for standard output")
    settings = {"read": config.read.model_dump(), "schema": CITATION_SCHEMA}
    wanted = check(inputs, out, "cite", settings, [rejects], overwrite)
    if wanted.done:
        return {"unchanged": True, **wanted.done}
    begun, tally = time.monotonic(), Tally()
    types: Counter[str] = Counter()
    with ExitStack() as stack:
        outputs = Outputs(out, (), rejects, stack)
        progress = stack.enter_context(Progress("cite", "rows", total_bytes=wanted.inputs.plain_bytes()))
        read = BytesRead()
        for row in tally.timed_rows(open_rows(inputs, wanted, config, tally.read, read)):
            tally.rows += 1
            progress.advance(1, read.taken())
            if isinstance(row, Reject):
                tally.rejects[row.reason] += 1
                outputs.reject(row)
                continue
            tally.articles += isinstance(row, Article)
            tally.sentence_rows += isinstance(row, Sentence)
            for citation in _citations(row):
                types[citation["type"]] += 1
                outputs.write(citation)
        # What counts as usable is a row read, not a mention found: most articles cite nothing.
        tally.sentences = tally.articles + tally.sentence_rows
        refuse_nothing(tally, outputs, inputs)
        wanted.inputs.check()
        found = finished("cite", wanted, settings, tally, begun)
        found["rows_per_second"] = found.pop("sentences_per_second")
        found["counts"] = _counts(tally, types)
        outputs.close(found)
    return found


def _citations(row: Article | Sentence) -> Iterator[dict[str, Any]]:
    base = row.start if isinstance(row, Sentence) else 0
    article_id = row.article_id if isinstance(row, Sentence) else row.id
    for citation in find_citations(row.text, article_date(row.meta)):
        yield {"article_id": article_id} | citation_row(citation, base)


def _counts(tally: Tally, types: Counter[str]) -> dict[str, Any]:
    counts = tally.counts()
    kept = {name: counts[name] for name in ("rows_in", "articles", "sentence_rows", "rejects")}
    return kept | {"citations": sum(types.values()), "types": dict(sorted(types.items(), key=lambda item: (-item[1], item[0])))}
