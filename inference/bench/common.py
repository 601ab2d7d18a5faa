"""Inputs and clocks that all measurements share."""

import json
import lzma
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from netral.config import TextSettings
from netral.records import Article
from netral.text import TextStage, model_text

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
GOLD = ROOT / "data" / "gold"
NEWS = SHARED / "corpora" / "news.jsonl.xz"
Table = list[list[str]]
# The corpus has 57,085 articles: enough for 2,000 of them.
_NEWS_STEP = 25


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        rounds: Timed runs of each system, after one that is not counted; figures are medians of them.
        sentences: Sentences of a speed table for the shipped model.
        base_sentences: The same for IndoBERT-base's shape, and for the row with a busy core.
        alike: Sentences whose logits are compared between batches.
        articles: Articles of the whole job.
        scale: Articles of the runs whose time per article shall stay the same.
    """

    rounds: int = 5
    sentences: int = 512
    base_sentences: int = 128
    alike: int = 300
    articles: tuple[int, ...] = (300, 1000)
    scale: tuple[int, ...] = (1000, 10_000, 50_000)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def gold_sentences(count: int) -> list[str]:
    """Return different sentences of the gold corpus, evenly spread, as the model sees them: its distribution of lengths."""
    return _spread([model_text(str(row["sentence"])) for row in read_rows(GOLD / "labels.jsonl")], count)


def news_articles(count: int) -> Iterator[dict[str, str]]:
    """Yield crawled articles from all over the corpus, which lies ordered by source; none where it is not there."""
    if NEWS.is_file():
        with lzma.open(NEWS, "rt", encoding="utf-8") as stream:
            for line in islice(stream, 0, count * _NEWS_STEP, _NEWS_STEP):
                row = json.loads(line)
                yield {"id": str(row["id"]), "text": str(row["text"])}


def news_sentences(count: int) -> list[str]:
    """Return different sentences of crawled articles, evenly spread, as the model sees them."""
    stage = TextStage(TextSettings())
    # Ten sentences an article and more: enough articles that one brings hardly more than one sentence.
    articles = (Article("news", 1, row["id"], row["text"]) for row in news_articles(2 * count))
    return _spread([model_text(sentence.text) for article in articles for sentence in stage.run(article).sentences], count)


def _spread(sentences: Sequence[str], count: int) -> list[str]:
    unique = list(dict.fromkeys(sentences))
    return unique[:: max(1, len(unique) // count)][:count]


def clocked(work: Callable[[], object]) -> float:
    """Return the seconds of one run."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def timed(work: Callable[[], object], rounds: int) -> float:
    """Return the median seconds of some runs after one that is not counted."""
    return interleaved({"": work}, rounds)[""]


def interleaved(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return each work's median seconds, all run in turn round after round, so that what else the machine does hits them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            took = clocked(work)
            if number:
                seconds[name].append(took)
    return {name: median(each) for name, each in seconds.items()}
