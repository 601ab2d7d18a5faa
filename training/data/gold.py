"""Label files: the labels of sentences by their place, and what they give to articles and to sentence records."""

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from netral.config import Config
from netral.errors import NetralError
from netral.io.streams import read_lines
from netral.records import Reject, Sentence
from training.data.given_labels import label_problem


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """The labels an annotator gave to a stretch of an article; ``sentence_id`` is empty where the row names none."""

    article_id: str
    start: int
    end: int
    sentence: str
    labels: tuple[str, ...]
    row: int
    sentence_id: str = ""


@dataclass(frozen=True, slots=True)
class GoldFile:
    """A label file: its spans by article, ordered."""

    path: Path
    spans: dict[str, list[GoldSpan]]


def read_gold(path: Path, config: Config) -> GoldFile:
    """Read a label file: JSON lines with `article_id`, `start`, `end`, `sentence`, `labels`, and perhaps `sentence_id`.

    Raises:
        NetralError: A row is wrong, or two rows give a sentence different labels. A wrong label file is a mistake to correct, not
            noise to skip.
    """
    spans: dict[tuple[Any, ...], list[GoldSpan]] = defaultdict(list)
    for line in read_lines(path, config.read.max_record_bytes):
        if not line.reason and not line.data.strip():
            continue
        where = f"{path}:{line.row}"
        try:
            row: Any = json.loads(line.data) if not line.reason else None
            place = (str(row["article_id"]), row["start"], row["end"], row["sentence"])
            if not isinstance(row["labels"], list):
                raise TypeError("`labels` is no list")
            span = GoldSpan(*place, tuple(row["labels"]), line.row, str(row.get("sentence_id") or ""))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise NetralError(
                f"{where}: not a label row ({line.reason or error})", "each row needs article_id, start, end, sentence, labels"
            ) from None
        _check(span, where, config)
        # Records without offsets share a place: there the id tells sentences apart. A row without an id means whatever stands at its place.
        same = [each for each in spans[place] if each.sentence_id == span.sentence_id or not (each.sentence_id and span.sentence_id)]
        other = next((each for each in same if set(each.labels) != set(span.labels)), None)
        if other:
            raise NetralError(
                f"{where}: other labels than row {other.row} gives the same sentence",
                "keep one of the rows, or put the later ones into a file of their own: netral prepare --gold FIRST --gold SECOND",
            )
        if all(each.sentence_id != span.sentence_id for each in spans[place]):
            spans[place].append(span)
    by_article: dict[str, list[GoldSpan]] = defaultdict(list)
    for span in chain.from_iterable(spans.values()):
        by_article[span.article_id].append(span)
    return GoldFile(path, {article: sorted(found, key=lambda s: s.start) for article, found in by_article.items()})


def _check(span: GoldSpan, where: str, config: Config) -> None:
    known = f"known labels: {', '.join(config.label_names)} (set with `labels:`)"
    for label in span.labels:
        if label not in config.label_names:
            raise NetralError(f"{where}: unknown label {label!r}", known)
    if problem := label_problem(span.labels, config):
        raise NetralError(f"{where}: {problem[1]}", known)
    if not isinstance(span.sentence, str):
        raise NetralError(f"{where}: `sentence` is no text", "each row needs the sentence as it stands in the article")
    if not (isinstance(span.start, int) and isinstance(span.end, int) and 0 <= span.start < span.end):
        raise NetralError(f"{where}: start and end are no span", "offsets are whole numbers into the article text as read")


def join_gold(sentences: Sequence[Sentence], gold: Sequence[GoldSpan]) -> tuple[list[GoldSpan | None], list[GoldSpan]]:
    """Find for the sentences of an article the gold span that each overlaps by at least half of their union.

    Returns:
        The span of each sentence, or None, and the gold spans that no sentence fits.
    """
    starts = [span.start for span in gold]
    used: set[int] = set()
    out: list[GoldSpan | None] = []
    for sentence in sentences:
        best, share = -1, 0.5
        for k in range(max(bisect_right(starts, sentence.start) - 2, 0), len(gold)):
            if gold[k].start >= sentence.end:
                break
            shared = min(sentence.end, gold[k].end) - max(sentence.start, gold[k].start)
            union = max(sentence.end, gold[k].end) - min(sentence.start, gold[k].start)
            if shared / union >= share:
                best, share = k, shared / union
        if best >= 0:
            used.add(best)
        out.append(gold[best] if best >= 0 else None)
    return out, [span for k, span in enumerate(gold) if k not in used]


def join_records(records: Sequence[Sentence], gold: GoldFile, joined: Collection[str]) -> tuple[list[GoldSpan | None], list[Reject]]:
    """Find for sentences that were read as such the span with their id, else the one at their place; the text must be the same.

    Args:
        records: The sentences.
        gold: A label file.
        joined: Articles whose spans were joined to the article's own sentences already.

    Returns:
        The span of each sentence, or None, and a reject for each span that no sentence fits (one for all of an article that is missing).
    """
    spans = [span for each in gold.spans.values() for span in each]
    by_id = {(span.sentence_id, span.sentence): span for span in spans if span.sentence_id}
    found = [by_id.get((s.sentence_id, s.text)) for s in records]
    named = {id(span) for span in found if span}
    by_place = {(span.article_id, span.start, span.end, span.sentence): span for span in spans if id(span) not in named}
    out = [span or by_place.get((s.article_id, s.start, s.end, s.text)) for span, s in zip(found, records, strict=True)]
    used, articles = {id(span) for span in out if span}, {s.article_id for s in records}
    rejects = []
    for article, each in sorted(gold.spans.items()):
        lost = [span for span in each if id(span) not in used and article not in joined]
        if lost and article not in articles:
            rejects.append(Reject(str(gold.path), lost[0].row, "gold_without_article", f"no article {article} in the input", article))
            continue
        rejects += [
            Reject(
                str(gold.path), s.row, "gold_not_matched", f"no such sentence in the input: {s.sentence[:120]}", s.sentence_id or article
            )
            for s in lost
        ]
    return out, rejects


def relabelled(sentence: Sentence, span: GoldSpan | None, replaced: dict[str, tuple[str, ...]], tally: Counter[str]) -> Sentence:
    """Return a sentence with the labels of a span, if there is one.

    ``replaced`` keeps the labels that the sentence had first, for as long as it has others now: by sentence id. ``tally`` counts what the
    label file did: sentences that are ``new``, ``changed`` or ``as before``.
    """
    if span is None:
        return sentence
    tally["new" if sentence.gold is None else "as before" if set(sentence.gold) == set(span.labels) else "changed"] += 1
    if sentence.gold is not None:
        first = replaced.setdefault(sentence.sentence_id, sentence.gold)
        if set(first) == set(span.labels):
            del replaced[sentence.sentence_id]
    return replace(sentence, gold=span.labels)
