"""The prepared data set: three Parquet files, loaded with the datasets library."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from netral.errors import NetralError
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
Sentences labelled for netral. Near-duplicate groups never cross the splits; see leak_audit.json and run.json.
"""


def load_split(folder: Path, split: str, labels: Sequence[str]) -> "LabelledSentences":
    """Load one split of a prepared data set.

    Raises:
        NetralError: The folder is no prepared data set, the split is empty, or it holds a label that is not known.
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
    return LabelledSentences(table, labels)


class LabelledSentences:
    """One split: sentences with their labels as a 0/1 matrix.

    Attributes:
        sentences: The sentences as they stand in their articles.
        sentence_ids: Their ids.
        articles: Their article ids.
        groups: Their near-duplicate groups, the unit of the bootstrap.
        truth: int array of shape (sentences, labels).
    """

    def __init__(self, table: "object", labels: Sequence[str]) -> None:
        """Read the columns of a datasets.Dataset."""
        columns = {name: list(table[name]) for name in ("sentence", "sentence_id", "article_id", "group", "labels")}  # type: ignore[index]
        self.sentences: list[str] = columns["sentence"]
        self.sentence_ids: list[str] = columns["sentence_id"]
        self.articles: list[str] = columns["article_id"]
        self.groups: list[int] = columns["group"]
        self.truth = np.array([[int(label in names) for label in labels] for names in columns["labels"]], dtype=int)

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.sentences)
