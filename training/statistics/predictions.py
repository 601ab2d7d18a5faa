"""What a model answered on a labelled split: written by `evaluate`, read by `compare` without the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from netral.errors import NetralError

PREDICTIONS_FILE = "predictions.parquet"


@dataclass(frozen=True, slots=True)
class Predictions:
    """Sentences, what they are and what they were given.

    Attributes:
        labels: Label names, the columns of the arrays.
        sentence_ids: Of each sentence.
        articles: Article ids.
        groups: Near-duplicate groups.
        sentences: The sentences.
        truth: 0/1 of shape (sentences, labels).
        given: 0/1 of that shape.
        scores: Calibrated probabilities of that shape.
    """

    labels: tuple[str, ...]
    sentence_ids: list[str]
    articles: list[str]
    groups: list[int]
    sentences: list[str]
    truth: np.ndarray
    given: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.sentence_ids)


def write_predictions(path: Path, found: Predictions) -> None:
    """Write predictions as Parquet, a row a sentence."""
    rows = [
        {
            "sentence_id": found.sentence_ids[i],
            "article_id": found.articles[i],
            "group": found.groups[i],
            "sentence": found.sentences[i],
            "gold": _names(found.truth[i], found.labels),
            "labels": _names(found.given[i], found.labels),
            "scores": dict(zip(found.labels, map(float, found.scores[i]), strict=True)),
        }
        for i in range(len(found))
    ]
    schema = pa.schema(
        [
            ("sentence_id", pa.string()),
            ("article_id", pa.string()),
            ("group", pa.int64()),
            ("sentence", pa.string()),
            ("gold", pa.list_(pa.string())),
            ("labels", pa.list_(pa.string())),
            ("scores", pa.struct([(label, pa.float64()) for label in found.labels])),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")


def read_predictions(report: Path) -> Predictions:
    """Read the predictions of a report folder.

    Raises:
        NetralError: The folder holds none, or they cannot be read.
    """
    path = report / PREDICTIONS_FILE
    if not path.is_file():
        raise NetralError(f"{report}: holds no {PREDICTIONS_FILE}", "pass a folder that `netral evaluate --out` of this version wrote")
    try:
        table = pq.read_table(path)
        labels = tuple(field.name for field in table.schema.field("scores").type)
        columns = {name: table[name].to_pylist() for name in table.column_names}
        return Predictions(
            labels=labels,
            sentence_ids=columns["sentence_id"],
            articles=columns["article_id"],
            groups=columns["group"],
            sentences=columns["sentence"],
            truth=_matrix(columns["gold"], labels),
            given=_matrix(columns["labels"], labels),
            scores=np.array([[row[label] for label in labels] for row in columns["scores"]], dtype=float).reshape(-1, len(labels)),
        )
    except (pa.ArrowException, KeyError, TypeError) as error:
        raise NetralError(f"{path}: not the predictions of an evaluation ({error})", "run `netral evaluate` again") from None


def _names(row: np.ndarray, labels: Sequence[str]) -> list[str]:
    return [label for label, yes in zip(labels, row, strict=True) if yes]


def _matrix(names: Sequence[Sequence[str]], labels: Sequence[str]) -> np.ndarray:
    return np.array([[int(label in each) for label in labels] for each in names], dtype=int).reshape(-1, len(labels))


def same_sentences(base: Predictions, other: Predictions, names: tuple[str, str]) -> Predictions:
    """Return the other predictions in the order of the base's sentences.

    Raises:
        NetralError: The two are not of the same sentences with the same labels.
    """
    wrong = ""
    if base.labels != other.labels:
        wrong = f"the labels are {', '.join(base.labels)} and {', '.join(other.labels)}"
    place = {sentence: i for i, sentence in enumerate(other.sentence_ids)}
    missing = sorted(set(base.sentence_ids) ^ set(other.sentence_ids))
    if not wrong and missing:
        wrong = f"{len(missing)} sentences are in one of them only, the first {missing[0]}"
    if not wrong:
        order = [place[sentence] for sentence in base.sentence_ids]
        differ = np.flatnonzero((base.truth != other.truth[order]).any(axis=1))
        if not len(differ):
            return Predictions(
                labels=base.labels,
                sentence_ids=base.sentence_ids,
                articles=base.articles,
                groups=base.groups,
                sentences=base.sentences,
                truth=base.truth,
                given=other.given[order],
                scores=other.scores[order],
            )
        wrong = f"{len(differ)} sentences have other gold labels, the first {base.sentence_ids[differ[0]]}"
    raise NetralError(f"{names[0]} and {names[1]} cannot be compared: {wrong}", "evaluate both on the same split of the same data set")
