"""What the partition spares us: how near test sentences are to training, and what a random split of sentences would have claimed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from netral.config import Config
from training.data.dataset import load_split
from training.data.partition import SPLITS
from training.evaluation.baselines import TfidfBaseline
from training.evaluation.metrics import scores_of
from training.statistics.bootstrap import GroupBootstrap

SIMILARITY_FILE = "leak_audit.parquet"
_DIGITS = 4
# Above this many sentences the random split is fitted on a sample of them: 12,000 take 25 s on one core.
_MOST = 12_000


def similarities(data: Path, sentence_ids: list[str]) -> np.ndarray | None:
    """Return for each sentence how near the nearest one of another split is; None for data that were prepared without it."""
    path = data / SIMILARITY_FILE
    if not path.is_file():
        return None
    table = pq.read_table(path, columns=["sentence_id", "similarity"])
    known = dict(zip(table["sentence_id"].to_pylist(), table["similarity"].to_pylist(), strict=True))
    return np.array([known.get(sentence, 0.0) for sentence in sentence_ids])


def similarity_figures(values: np.ndarray) -> dict[str, Any]:
    """Return how near the sentences of a split are to another one: the highest, quantiles, and the shares above some bounds."""
    return {
        "highest": round(float(values.max()), _DIGITS),
        "median": round(float(np.median(values)), _DIGITS),
        "quantile_0.95": round(float(np.quantile(values, 0.95)), _DIGITS),
        "from_0.4": int((values >= 0.4).sum()),
        "sentences": len(values),
    }


def no_random_split(data: Path, choices: Mapping[str, Sequence[str]]) -> str | None:
    """Return why a data set has no figure on a random split, or None where it has one."""
    if choices:
        return "it is not made for single-label tasks"
    empty = next((split for split in SPLITS if not pq.read_metadata(data / f"{split}.parquet").num_rows), None)
    return f"the {empty} split is empty" if empty else None


def random_split(data: Path, labels: tuple[str, ...], pairs: bool, config: Config) -> dict[str, Any]:
    """Return macro F1 of TF-IDF with logistic regression on a split of the same sizes that cuts articles apart.

    Sentences of one article, and copies of one report, then stand on both sides, and what is learnt of them is not what a new article
    needs. The honest figure of the same model is ``systems.tfidf``.
    """
    splits = [load_split(data, split, labels, pairs=pairs) for split in SPLITS]
    sentences = [sentence for split in splits for sentence in split.words]
    articles = [article for split in splits for article in split.articles]
    truth = np.concatenate([split.truth for split in splits])
    shuffled = np.random.default_rng(config.evaluate.seed).permutation(len(sentences))
    share = min(1.0, _MOST / len(sentences))
    sizes = [max(1, int(len(split) * share)) for split in splits]
    train, validation, test = np.split(shuffled[: sum(sizes)], np.cumsum(sizes)[:-1])

    def texts(rows: np.ndarray) -> list[str]:
        return [sentences[i] for i in rows]

    model = TfidfBaseline(labels, config.evaluate.seed).fit(
        texts(train), truth[train], texts(validation), truth[validation], [articles[i] for i in validation], config.decision
    )
    given = model.predict(texts(test))
    bootstrap = GroupBootstrap(
        [articles[i] for i in test], config.evaluate.bootstrap_samples, config.evaluate.confidence, config.evaluate.seed
    )
    return {
        "sentences": {"train": len(train), "validation": len(validation), "test": len(test)},
        "macro_f1": round(float(scores_of(given, truth[test], labels)["macro_f1"]), _DIGITS),
        "macro_f1_interval": bootstrap.macro_f1_interval(given, truth[test]),
        "articles_on_both_sides": len({articles[i] for i in test} & {articles[i] for i in np.concatenate([train, validation])}),
    }
