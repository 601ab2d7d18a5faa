"""Which split each labelled sentence goes to: by its file's name, as in an earlier data set, or by shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from netral.config import Config
from netral.errors import NetralError
from netral.records import SECOND, Reject, Sentence
from training.data.near_duplicates import LINKING_CHARS, group_articles
from training.data.partition import SPLITS, partition


def texts_of(sentences: Sequence[Sentence], config: Config) -> list[str]:
    """Return what near-duplicates are looked for in: the sentence, or both of a pair."""
    return [f"{s.text} {s.meta[SECOND]}" if config.pairs else s.text for s in sentences]


@dataclass(frozen=True, slots=True)
class Earlier:
    """Where the sentences of an earlier data set stood.

    An article is known by its sentences, not by its id: ids made of rows shift when a file grows.

    Attributes:
        in_articles: The split of each sentence by article id and text.
        alone: The same by the text alone, of sentences so long that two articles which share one are near-duplicates.
    """

    in_articles: Mapping[tuple[str, str], str] = field(default_factory=dict)
    alone: Mapping[str, str] = field(default_factory=dict)

    def split_of(self, sentence: Sentence, text: str) -> str | None:
        """Return where a sentence stood; None for one that is new."""
        found = [split for split in (self.in_articles.get((sentence.article_id, text)), self.alone.get(text)) if split]
        return max(found, key=SPLITS.index, default=None)


def read_splits(data: Path, config: Config) -> Earlier:
    """Return the splits of a data set made before.

    Raises:
        NetralError: It is no data set, or the configuration names the splits by file.
    """
    if config.prepare.splits:
        raise NetralError(f"--keep-splits {data}: prepare.splits already says which file is which split", "leave one of the two out")
    in_articles: dict[tuple[str, str], str] = {}
    alone: dict[str, str] = {}
    for split in SPLITS:
        path = data / f"{split}.parquet"
        if not path.is_file():
            raise NetralError(
                f"--keep-splits {data}: no prepared data set, {path.name} is missing", "name what `netral prepare --out` named"
            )
        try:
            rows = pq.read_table(path).to_pylist()
            for row in rows:
                text = f"{row['sentence']} {row[SECOND]}" if config.pairs else row["sentence"]
                # In the order of SPLITS, so that of a sentence in two splits the held-out one counts.
                in_articles[row["article_id"], text] = split
                if len(text) >= LINKING_CHARS:
                    alone[text] = split
        except (pa.ArrowException, OSError, KeyError) as error:
            raise NetralError(f"--keep-splits {data}: {path.name} cannot be read ({error})", "make the data set again") from None
    return Earlier(in_articles, alone)


def divided(
    labelled: Sequence[Sentence],
    texts: Sequence[str],
    groups: Sequence[int],
    gold: Sequence[Sequence[str]],
    config: Config,
    earlier: Earlier,
) -> tuple[list[str], list[Reject]]:
    """Return the split of each sentence, and the sentences that may only train but are too near to a held-out one.

    What stands in files that only train (``prepare.train_only``) counts for no share; where such a sentence is in one group with a
    held-out one it is rejected, and an empty string stands in its place.

    Args:
        labelled: The sentences.
        texts: Their texts (:func:`texts_of`).
        groups: Their near-duplicate groups.
        gold: Their labels.
        config: The shares, or the names of the files of each split.
        earlier: Where sentences stood before: their articles stay there. Of a near-duplicate group with articles in several splits, all go
            to test, or else to validation.

    Raises:
        NetralError: A file's name fits no split of ``prepare.splits``, or several.
    """
    if config.prepare.splits:
        return [_given_split(s, config.prepare.splits) for s in labelled], []
    pattern = config.prepare.train_only
    train_only = [pattern is not None and fnmatchcase(Path(s.file).name, pattern) for s in labelled]
    # Divided as if the other files were not there, so that what is measured stays the same whatever is trained on besides.
    free = [i for i, only in enumerate(train_only) if not only]
    own = group_articles([texts[i] for i in free], [labelled[i].article_id for i in free], config.prepare.near_duplicate)
    fractions = {split: getattr(config.prepare, split) for split in SPLITS}
    before = [earlier.split_of(sentence, text) for sentence, text in zip(labelled, texts, strict=True)]
    kept = _kept(own, [before[i] for i in free])
    placed = partition(own, [gold[i] for i in free], fractions, config.prepare.seed, kept)
    splits = ["train"] * len(train_only)
    held: dict[int, str] = {}
    for i, group in zip(free, own, strict=True):
        splits[i] = placed[group]
        if splits[i] != "train":
            held[groups[i]] = splits[i]
    rejects = []
    for i, sentence in enumerate(labelled):
        held_out = held.get(groups[i]) or (before[i] if before[i] != "train" else None)
        if train_only[i] and held_out:
            detail = f"may only train, but is close to a sentence of {held_out}: {sentence.text[:120]}"
            rejects.append(Reject(sentence.file, sentence.row, "near_held_out", detail, sentence.sentence_id))
            splits[i] = ""
    return splits, rejects


def _kept(groups: Sequence[int], before: Sequence[str | None]) -> dict[int, str]:
    kept: dict[int, str] = {}
    for group, split in zip(groups, before, strict=True):
        # Held-out sentences were perhaps looked at already, but a sentence that was trained on can be taken out of training.
        if split:
            kept[group] = max(kept.get(group, SPLITS[0]), split, key=SPLITS.index)
    return kept


def moved(labelled: Sequence[Sentence], texts: Sequence[str], splits: Sequence[str], earlier: Earlier) -> int:
    """Return how many sentences are in another split than before, because a near-duplicate of their article came in."""
    now = zip(labelled, texts, splits, strict=True)
    return len({text for s, text, split in now if split and earlier.split_of(s, text) not in (None, split)})


def _given_split(sentence: Sentence, patterns: Mapping[Any, str]) -> str:
    name = Path(sentence.file).name
    found = [split for split, pattern in patterns.items() if fnmatchcase(name, pattern)]
    if len(found) != 1:
        what = "no pattern" if not found else f"the patterns of {' and '.join(found)}"
        raise NetralError(f"{sentence.file}: {what} under prepare.splits fits its name", "write patterns that each file fits one of")
    return str(found[0])


def split_counts(
    split: str,
    splits: Sequence[str],
    labelled: Sequence[Sentence],
    gold: Sequence[Sequence[str]],
    groups: Sequence[int],
    labels: Sequence[str],
) -> dict[str, Any]:
    """Return how many sentences, articles, groups and labels a split has."""
    rows = [i for i, where in enumerate(splits) if where == split]
    return {
        "sentences": len(rows),
        "articles": len({labelled[i].article_id for i in rows}),
        "groups": len({groups[i] for i in rows}),
        "no_label": sum(not gold[i] for i in rows),
        **{label: sum(label in gold[i] for i in rows) for label in labels},
    }
