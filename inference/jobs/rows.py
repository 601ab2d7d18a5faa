"""From input rows to labelled sentences, counting each; the same for every kind of output."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from inference.deciding import doubtful
from inference.jobs.citing import cited_alone, names_a_regulation, with_citations
from inference.predictor import Predictor
from inference.tokenise import Text
from netral.io.columns import ReadReport
from netral.io.readers import Row
from netral.records import SECOND, Article, Drop, Failure, Prediction, Reject, Sentence
from netral.text import TextStage, no_sentences

REGULATION = "regulation_reference"
# Sentences on which label and parser differ that a summary lists; all are counted.
LISTED = 50
Item = Sentence | Reject
Labelled = tuple[Sentence, Prediction] | Reject


@dataclass(slots=True)
class Tally:
    """What was read, made and left out, and the seconds that each stage took."""

    rows: int = 0
    articles: int = 0
    sentence_rows: int = 0
    sentences: int = 0
    truncated: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    read: ReadReport = field(default_factory=ReadReport)
    article_rows: int = 0
    article_labels: Counter[str] = field(default_factory=Counter)
    in_review: int = 0
    review: dict[str, int] = field(default_factory=dict)
    citations: int = 0
    label_alone: int = 0
    citation_alone: int = 0
    disagreements: list[str] = field(default_factory=list)

    def compare(self, sentence: Sentence, labelled: bool) -> None:
        """Note a sentence on which the label `regulation_reference` and the parser of citations do not agree."""
        cites = names_a_regulation(sentence)
        if labelled == cites:
            return
        self.label_alone += labelled
        self.citation_alone += cites
        if len(self.disagreements) < LISTED:
            self.disagreements.append(f"{sentence.sentence_id}: {'label' if labelled else 'citation'} alone: {sentence.text[:200]}")

    def doubt(self, labels: Sequence[str]) -> None:
        """Count a sentence that lies in the review bands of some labels."""
        self.in_review += bool(labels)
        for label in labels:
            self.review[label] += 1

    def cited(self) -> dict[str, Any]:
        """Return what the summary says of citations."""
        return {
            "mentions": self.citations,
            "label_without_citation": self.label_alone,
            "citation_without_label": self.citation_alone,
            "first_disagreements": list(self.disagreements),
        }

    def counts(self) -> dict[str, Any]:
        """Return the counts as they stand in summaries and markers."""
        return {
            "rows_in": self.rows,
            "articles": self.articles,
            "sentence_rows": self.sentence_rows,
            "sentences_out": self.sentences,
            "truncated": self.truncated,
            "labels": dict(sorted(self.labels.items())),
            "rejects": dict(sorted(self.rejects.items())),
            "dropped_by_cleaning": dict(sorted(self.dropped.items())),
            **self._rolled_up(),
            **self._doubted(),
            **self.read.counts(),
        }

    def _rolled_up(self) -> dict[str, Any]:
        """Return what only a job with `--level article` counts."""
        return {"article_rows": self.article_rows, "article_labels": dict(sorted(self.article_labels.items()))} if self.article_rows else {}

    def _doubted(self) -> dict[str, Any]:
        """Return what only a job of a model with review bands counts."""
        return {"review": {"sentences": self.in_review, "labels": dict(sorted(self.review.items()))}} if self.review else {}

    def stage_seconds(self) -> dict[str, float]:
        """Return the time of each stage as it stands in summaries and markers."""
        return {stage: round(self.seconds.get(stage, 0.0), 3) for stage in ("read", "text", "score", "write")}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that the body takes to a stage."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun

    def timed_rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass rows on, adding the time that reading them takes."""
        iterator = iter(rows)
        while True:
            with self.timed("read"):
                row = next(iterator, None)
            if row is None:
                return
            yield row


def added_up(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Add up the numbers of nested records key by key; of lists the first entries are kept.

    >>> added_up([{"rows": 1, "labels": {"b": 1}}, {"rows": 2, "labels": {"a": 1, "b": 2}}])
    {'rows': 3, 'labels': {'a': 1, 'b': 3}}
    """
    total: dict[str, Any] = {}
    for record in records:
        for key, value in record.items():
            if isinstance(value, list):
                total[key] = [*total.get(key, []), *value][:LISTED]
            elif isinstance(value, dict):
                total[key] = dict(sorted(added_up([total.get(key, {}), value]).items()))
            else:
                total[key] = total.get(key, 0) + value
    return total


def to_sentences(
    rows: Iterable[Row], stage: TextStage, tally: Tally, on_drop: Callable[[Article, Drop], None] | None = None
) -> Iterator[Item]:
    """Cut articles into sentences; rejects pass through at their place, so that their order depends on the input alone."""
    for row in rows:
        tally.rows += 1
        if isinstance(row, Reject):
            yield row
            continue
        if isinstance(row, Sentence):
            tally.sentence_rows += 1
            # A sentence that `netral split` wrote brings its citations; they were found in the whole article.
            yield row if row.citations else cited_alone(row)
            continue
        with tally.timed("text"):
            text = stage.run(row)
            sentences = with_citations(row, text.sentences)
        tally.dropped.update(drop.rule for drop in text.drops)
        for drop in text.drops if on_drop else ():
            if on_drop:
                on_drop(row, drop)
        if not text.sentences:
            yield no_sentences(row, text.drops)
            continue
        tally.articles += 1
        yield from sentences


def to_labels(items: Iterable[Item], predictor: Predictor, tally: Tally) -> Iterator[Labelled]:
    """Label sentences in order; one that cannot be scored becomes a reject at its place.

    ``items`` is read in the predictor's own thread, so that cleaning and splitting go on while a window is computed.
    """
    pending: deque[Item] = deque()
    # A label with a band is listed even if no sentence lies in it.
    tally.review = {**dict.fromkeys(predictor.review, 0), **tally.review}

    def texts() -> Iterator[Text]:
        for item in map(_whole_pair, items) if predictor.pairs else items:
            pending.append(item)
            if isinstance(item, Sentence):
                yield (item.text, item.meta[SECOND]) if predictor.pairs else item.text

    answers = iter(predictor.attempt(texts()))
    while True:
        with tally.timed("score"):
            answer = next(answers, None)
        # What stands before the sentence of this answer; at the end, what stands behind the last one.
        while pending and isinstance(item := pending[0], Reject):
            pending.popleft()
            tally.rejects[item.reason] += 1
            yield item
        if answer is None:
            if pending:
                raise RuntimeError("fewer answers than sentences")  # never lose one in silence
            return
        sentence = pending.popleft()
        if not isinstance(sentence, Sentence):
            raise RuntimeError("more answers than sentences")
        if isinstance(answer, Failure):
            tally.rejects[answer.reason] += 1
            yield Reject(sentence.file, sentence.row, answer.reason, answer.detail, sentence.sentence_id)
            continue
        tally.sentences += 1
        tally.truncated += answer.truncated
        tally.labels.update(answer.labels)
        tally.doubt(doubtful(answer.scores, predictor.review))
        if REGULATION in predictor.labels:
            tally.compare(sentence, REGULATION in answer.labels)
        tally.citations += len(sentence.citations)
        yield sentence, answer


def _whole_pair(item: Item) -> Item:
    """Reject a sentence without a second one, which a model for pairs cannot judge."""
    if isinstance(item, Reject) or (isinstance(item.meta.get(SECOND), str) and item.meta[SECOND].strip()):
        return item
    return Reject(item.file, item.row, "missing_field", f"no text in `{SECOND}`; the model reads pairs of sentences", item.sentence_id)


def scoring_stats(predictor: Predictor) -> dict[str, int]:
    """Return what a predictor needed not to score, and how often it had to try again, since it was made."""
    stats = predictor.stats
    return {
        "duplicates": stats.duplicates,
        "cache_hits": stats.cache_hits,
        "windows": stats.windows,
        "settled_in_fp32": stats.settled,
        "retries": stats.retries,
    }


def in_use(predictor: Predictor) -> dict[str, str]:
    """Return what a predictor runs on, with every ``auto`` resolved."""
    return {
        "backend": predictor.backend,
        "precision": predictor.precision,
        "device": predictor.choice.device if predictor.choice else "cpu",
    }
