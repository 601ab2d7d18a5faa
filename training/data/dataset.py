"""The prepared data set: three Parquet files, loaded with the datasets library."""

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path

import numpy as np
import pyarrow as pa

from inference.tokenise import Text
from netral.errors import NetralError
from netral.records import SECOND
from training.data.partition import SPLITS

SCHEMA = pa.schema(
    [
        pa.field("article_id", pa.string(), nullable=False),
        pa.field("sentence_id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("sentence", pa.string(), nullable=False),
        pa.field("labels", pa.list_(pa.string()), nullable=False),
        pa.field("group", pa.int64(), nullable=False),
        pa.field("meta", pa.string(), nullable=False),
    ]
)
PAIR_SCHEMA = SCHEMA.insert(5, pa.field(SECOND, pa.string(), nullable=False))
# Read by `datasets.load_dataset(DIR)`: it says which of the folder's files are the data.
CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: train.parquet
  - split: validation
    path: validation.parquet
  - split: test
    path: test.parquet
---
Sentences labelled for netral. """
GROUPED_SPLITS = "Near-duplicate groups never cross the splits; see leak_audit.json and run.json.\n"
GIVEN_SPLITS = "The splits came with the data; leak_audit.json says how close sentences of two splits are. See run.json.\n"


def load_split(
    folder: Path, split: str, labels: Sequence[str], choices: Mapping[str, Sequence[str]] | None = None, pairs: bool = False
) -> "LabelledSentences":
    """Load one split of a prepared data set.

    Raises:
        NetralError: The folder is no prepared data set, the split is empty, it holds a label that is not known, or not exactly one label
            of each of the ``choices``, or no pairs where ``pairs`` are asked for, or the other way round.
    """
    import datasets

    path = folder / f"{split}.parquet"
    if split not in SPLITS:
        raise NetralError(f"split {split}: unknown", f"choose one of {', '.join(SPLITS)}")
    if not path.is_file():
        raise NetralError(f"{folder}: no prepared data set, {path.name} is missing", "make it with `netral prepare INPUT... --out DIR`")
    datasets.disable_progress_bars()
    table = datasets.Dataset.from_parquet(str(path), keep_in_memory=True)
    if not len(table):
        raise NetralError(f"{path}: the split is empty", "label more articles, or change the fractions under `prepare`")
    strange = sorted({name for names in table["labels"] for name in names} - set(labels))
    if strange:
        raise NetralError(f"{path}: label {strange[0]} is not in the configuration", f"known labels: {', '.join(labels)}")
    for choice in (choices or {}).values():
        wrong = next((i for i, names in enumerate(table["labels"]) if len(set(names) & set(choice)) != 1), None)
        if wrong is not None:
            raise NetralError(
                f"{path}: {table['sentence_id'][wrong]} has not exactly one of {', '.join(choice)}",
                "prepare the data again with this recipe's `task` and `labels`",
            )
    if (SECOND in table.column_names) != pairs:
        raise NetralError(
            f"{path}: {'no pairs of sentences' if pairs else 'pairs of sentences'}", "prepare and train with the same `pairs`"
        )
    return LabelledSentences(table, labels)


class LabelledSentences:
    """Sentences with their labels as a 0/1 matrix.

    Attributes:
        sentences: The sentences as they stand in their articles; of pairs the first.
        seconds: Of pairs the second sentences, else None.
        sentence_ids: Their ids.
        articles: Their article ids.
        groups: Their near-duplicate groups: the unit of the bootstrap, and what folds never cut apart.
        truth: int array of shape (sentences, labels).
        targets: What training aims at, float array of that shape: the truth, or where the optional column ``soft`` holds
            probabilities by label, these.
        weights: How much each counts in training: the optional column ``weight``, else 1.
    """

    def __init__(self, table: "object", labels: Sequence[str]) -> None:
        """Read the columns of a datasets.Dataset."""
        columns = {name: list(table[name]) for name in ("sentence", "sentence_id", "article_id", "group", "labels")}  # type: ignore[index]
        present = set(table.column_names)  # type: ignore[attr-defined]
        self.sentences: list[str] = columns["sentence"]
        self.seconds: list[str] | None = list(table[SECOND]) if SECOND in table.column_names else None  # type: ignore[index, attr-defined]
        self.sentence_ids: list[str] = columns["sentence_id"]
        self.articles: list[str] = columns["article_id"]
        self.groups: list[int] = columns["group"]
        self.truth = np.array([[int(label in names) for label in labels] for names in columns["labels"]], dtype=int)
        self.targets, self.weights = self.truth.astype(float), np.ones(len(self.sentences))
        if "soft" in present:
            for row, soft in enumerate(table["soft"]):  # type: ignore[index]
                if soft is not None:
                    self.targets[row] = [soft[label] for label in labels]
        if "weight" in present:
            self.weights = np.array([1.0 if weight is None else weight for weight in table["weight"]])  # type: ignore[index]

    @property
    def inputs(self) -> list[Text]:
        """What a Predictor is asked: the sentences, or pairs of them."""
        return list(self.sentences) if self.seconds is None else list(zip(self.sentences, self.seconds, strict=True))

    @property
    def words(self) -> list[str]:
        """One text each, for models that count words."""
        return self.sentences if self.seconds is None else [" ".join(pair) for pair in zip(self.sentences, self.seconds, strict=True)]

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.sentences)

    def take(self, rows: Sequence[int]) -> "LabelledSentences":
        """Return some of the sentences, in the order of ``rows``."""
        part = copy(self)
        for name in ("sentences", "sentence_ids", "articles", "groups"):
            setattr(part, name, [getattr(self, name)[row] for row in rows])
        for name in ("truth", "targets", "weights"):
            setattr(part, name, getattr(self, name)[list(rows)])
        part.seconds = None if self.seconds is None else [self.seconds[row] for row in rows]
        return part

    def __add__(self, other: "LabelledSentences") -> "LabelledSentences":
        """Return these sentences followed by others with the same labels."""
        whole = copy(self)
        for name in ("sentences", "sentence_ids", "articles", "groups"):
            setattr(whole, name, getattr(self, name) + getattr(other, name))
        for name in ("truth", "targets", "weights"):
            setattr(whole, name, np.concatenate([getattr(self, name), getattr(other, name)]))
        whole.seconds = None if self.seconds is None or other.seconds is None else self.seconds + other.seconds
        return whole
