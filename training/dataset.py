"""The prepared data set: three Parquet files, loaded with the datasets library."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from inference.tokenise import Text
from netral.errors import NetralError
from netral.records import SECOND
from training.partition import SPLITS

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
    """One split: sentences with their labels as a 0/1 matrix.

    Attributes:
        sentences: The sentences as they stand in their articles; of pairs the first.
        seconds: Of pairs the second sentences, else None.
        sentence_ids: Their ids.
        articles: Their article ids, the unit of the bootstrap.
        truth: int array of shape (sentences, labels).
    """

    def __init__(self, table: "object", labels: Sequence[str]) -> None:
        """Read the columns of a datasets.Dataset."""
        columns = {name: list(table[name]) for name in ("sentence", "sentence_id", "article_id", "labels")}  # type: ignore[index]
        self.sentences: list[str] = columns["sentence"]
        self.seconds: list[str] | None = list(table[SECOND]) if SECOND in table.column_names else None  # type: ignore[index, attr-defined]
        self.sentence_ids: list[str] = columns["sentence_id"]
        self.articles: list[str] = columns["article_id"]
        self.truth = np.array([[int(label in names) for label in labels] for names in columns["labels"]], dtype=int)

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
