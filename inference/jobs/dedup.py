"""Gives every article of a crawl its cluster of near-duplicates, one JSON row an article: `netral dedup`."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from inference.jobs.job import BytesRead, Outputs, check, finished, open_rows, refuse_nothing
from inference.jobs.rows import Tally
from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import STDIN
from netral.io.readers import Row
from netral.near_duplicates import Signature, cluster, signature
from netral.progress import Progress
from netral.records import Article, Reject, Sentence
from netral.text import TextStage, model_text, no_sentences

# Raise it when a column is added, removed or changes its meaning; docs/dedup.md describes the columns.
DEDUP_SCHEMA = 1


def dedup(inputs: Sequence[str], out: str, config: Config, *, rejects: str | None = None, overwrite: bool = False) -> dict[str, Any]:
    """Write one row for each article and return the summary; does nothing if the output is up to date.

    Articles are compared by their cleaned text, so that teasers and share junk do not count. Nothing is deleted: the row
    names the article's cluster and the cluster's representative. Of each article only its signature is kept in memory.

    Raises:
        NetralError: Nothing usable in the inputs, or the output exists or has a format that is not written.
    """
    if out != STDIN and not out.endswith(".jsonl"):
        raise NetralError(f"{out}: dedup writes JSON lines", "name the output OUT.jsonl, or - for standard output")
    settings = {
        "read": config.read.model_dump(),
        "text": config.text.model_dump(),
        "dedup": config.dedup.model_dump(),
        "schema": DEDUP_SCHEMA,
    }
    wanted = check(inputs, out, "dedup", settings, [rejects], overwrite)
    if wanted.done:
        return {"unchanged": True, **wanted.done}
    begun, tally = time.monotonic(), Tally()
    ids: list[str] = []
    signatures: list[Signature] = []
    with ExitStack() as stack:
        outputs = Outputs(out, (), rejects, stack)
        with Progress("dedup: read", "articles", total_bytes=wanted.inputs.plain_bytes()) as progress:
            read = BytesRead()
            rows = tally.timed_rows(open_rows(inputs, wanted, config, tally.read, read))
            for article_id, text in _texts(rows, TextStage(config.text), tally, outputs):
                ids.append(article_id)
                signatures.append(signature(text))
                progress.advance(1, read.taken())
        # What counts as usable is an article.
        tally.sentences = tally.articles
        refuse_nothing(tally, outputs, inputs)
        kinds: Counter[str] = Counter()
        with Progress("dedup: cluster", "articles", len(ids)) as progress:
            members = cluster(signatures, ids, config.dedup.containment, progress.advance)
        sizes = Counter(member.cluster for member in members)
        for article_id, member in zip(ids, members, strict=True):
            kinds[member.kind] += 1
            outputs.write(
                {
                    "article_id": article_id,
                    "cluster": member.cluster,
                    "cluster_size": sizes[member.cluster],
                    "representative": ids[member.representative],
                    "kind": member.kind,
                    "similarity": member.similarity,
                }
            )
        wanted.inputs.check()
        found = finished("dedup", wanted, settings, tally, begun)
        found["articles_per_second"] = found.pop("sentences_per_second")
        found["counts"] = _counts(tally, kinds, sizes)
        outputs.close(found)
    return found


def _texts(rows: Iterable[Row], stage: TextStage, tally: Tally, outputs: Outputs) -> Iterator[tuple[str, str]]:
    """Yield the id and cleaned text of each article; everything else is rejected and counted."""
    for row in rows:
        tally.rows += 1
        if isinstance(row, Reject):
            _reject(row, tally, outputs)
        elif isinstance(row, Sentence):
            detail = "a row with `sentence`; dedup compares whole articles (rows with `text`)"
            _reject(Reject(row.file, row.row, "not_an_article", detail, row.sentence_id), tally, outputs)
        else:
            text = _cleaned(row, stage, tally, outputs)
            if text:
                tally.articles += 1
                yield row.id, text


def _cleaned(article: Article, stage: TextStage, tally: Tally, outputs: Outputs) -> str:
    with tally.timed("text"):
        text = stage.run(article)
    tally.dropped.update(drop.rule for drop in text.drops)
    if not text.sentences:
        _reject(no_sentences(article, text.drops), tally, outputs)
    return model_text(" ".join(sentence.text for sentence in text.sentences))


def _reject(reject: Reject, tally: Tally, outputs: Outputs) -> None:
    tally.rejects[reject.reason] += 1
    outputs.reject(reject)


def _counts(tally: Tally, kinds: Counter[str], sizes: Counter[str]) -> dict[str, Any]:
    counts = tally.counts()
    kept = {name: counts[name] for name in ("rows_in", "articles", "rejects", "dropped_by_cleaning")}
    return kept | {
        "clusters": len(sizes),
        "largest_cluster": max(sizes.values()),
        "kinds": {kind: kinds[kind] for kind in ("unique", "representative", "exact", "near")},
    }
