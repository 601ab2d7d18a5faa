"""Rolls labelled sentences up into one row an article as they stream by: `netral label --level article`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference.jobs.rows import Labelled, Tally
from netral.errors import NetralError
from netral.io.writers import ARTICLE, LEVELS, output_row, provenance_row
from netral.records import Prediction, Reject, Sentence


def check_level(level: str) -> None:
    """Refuse a level that there is not.

    Raises:
        NetralError: The level is unknown.
    """
    if level not in LEVELS:
        raise NetralError(f"--level {level}: unknown", f"choose {' or '.join(LEVELS)}")


def to_rows(labelled: Iterable[Labelled], level: str, labels: Sequence[str], model: str, tally: Tally) -> Iterator[dict[str, Any] | Reject]:
    """Build output rows, one a sentence or one an article; rejects pass through.

    The sentences of an article follow each other, so only one article is held. Sentence records count as one article while
    they follow each other in one file with one `article_id`.
    """
    article: _Article | None = None
    for each in labelled:
        if isinstance(each, Reject):
            yield each
            continue
        with tally.timed("write"):
            finished = None
            if level == ARTICLE:
                if article is None or article.key != (each[0].file, each[0].article_id):
                    finished, article = article, _Article(each[0], labels)
                article.add(*each)
            else:
                row = output_row(*each, model)
        if level != ARTICLE:
            yield row
        elif finished is not None:
            yield finished.row(model, tally)
    if article is not None:
        yield article.row(model, tally)


@dataclass(slots=True)
class _Article:
    """What is known of an article so far."""

    first: Sentence
    labels: Sequence[str]
    sentences: int = 0
    truncated: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    strongest: dict[str, tuple[float, Sentence]] = field(default_factory=dict)
    citations: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.first.file, self.first.article_id

    def add(self, sentence: Sentence, prediction: Prediction) -> None:
        self.sentences += 1
        self.truncated += prediction.truncated
        self.counts.update(prediction.labels)
        for label in self.labels:
            score = prediction.scores[label]
            # Of equal scores the first sentence stays.
            if label not in self.strongest or score > self.strongest[label][0]:
                self.strongest[label] = score, sentence
        for each in sentence.citations:
            new = {"canonical": each["canonical"], "type": each["type"], "mentions": 0}
            self.citations.setdefault(each["canonical"], new)["mentions"] += 1

    def row(self, model: str, tally: Tally) -> dict[str, Any]:
        """Return the finished row, with the columns of docs/output.md in order."""
        # The rule: an article has a label if a sentence has it (docs/decisions.md, Roll-up, has it beside others).
        labels = [label for label in self.labels if self.counts[label]]
        tally.article_rows += 1
        tally.article_labels.update(labels)
        return {
            "article_id": self.first.article_id,
            "labels": labels,
            "scores": {label: self.strongest[label][0] for label in self.labels},
            "sentences": self.sentences,
            "counts": {label: self.counts[label] for label in self.labels},
            "strongest": {label: _shown(*self.strongest[label]) for label in self.labels},
            "truncated": self.truncated,
            "model": model,
            "meta": self.first.meta,
            "provenance": provenance_row(self.first),
            "citations": list(self.citations.values()),
        }


def _shown(score: float, sentence: Sentence) -> dict[str, Any]:
    return {
        "sentence_id": sentence.sentence_id,
        "start": sentence.start,
        "end": sentence.end,
        "sentence": sentence.text,
        "score": score,
    }
