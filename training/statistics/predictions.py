"""What a model answered on a labelled split: written by `evaluate`, read by `compare` without the model."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from netral.errors import NetralError

PREDICTIONS_FILE = "predictions.parquet"
_CHOICES = b"choices"


@dataclass(frozen=True, slots=True)
class Predictions:
    """Sentences, what they are and what they were given.

    Attributes:
        labels: Label names, the columns of the arrays.
        sentence_ids: Of each sentence.
        articles: Article ids.
        groups: Near-duplicate groups.
        sentences: The sentences; both of a pair, one behind the other.
        truth: 0/1 of shape (sentences, labels).
        given: 0/1 of that shape.
        scores: Calibrated probabilities of that shape.
        choices: Of single-label tasks the labels of which exactly one is given, by aspect.
    """

    labels: tuple[str, ...]
    sentence_ids: list[str]
    articles: list[str]
    groups: list[int]
    sentences: list[str]
    truth: np.ndarray
    given: np.ndarray
    scores: np.ndarray
    choices: dict[str, list[str]] = field(default_factory=dict)

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
        ],
        metadata={_CHOICES: json.dumps(found.choices).encode()} if found.choices else None,
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
        labels = tuple(column.name for column in table.schema.field("scores").type)
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
            choices=json.loads((table.schema.metadata or {}).get(_CHOICES, b"{}")),
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise NetralError(f"{path}: not the predictions of an evaluation ({error})", "run `netral evaluate` again") from None


def _names(row: np.ndarray, labels: Sequence[str]) -> list[str]:
    return [label for label, yes in zip(labels, row, strict=True) if yes]


def _matrix(names: Sequence[Sequence[str]], labels: Sequence[str]) -> np.ndarray:
    return np.array([[int(label in each) for label in labels] for each in names], dtype=int).reshape(-1, len(labels))


def wrong_sentences(found: Predictions) -> list[int]:
    """Return which sentences were given other labels than theirs, the most confidently wrong first.

    How confidently is the distance of a score from the truth, of the wrong label for which it is largest.
    """
    wrong = found.given != found.truth
    confidence = np.where(wrong, np.abs(found.scores - found.truth), 0).max(axis=1, initial=0)
    return sorted(np.flatnonzero(wrong.any(axis=1)).tolist(), key=lambda i: (-confidence[i], i))


def macro_columns(base: Predictions, other: Predictions) -> np.ndarray:
    """Return over what macro F1 of two systems is the mean, as 0/1 of shape (labels, values).

    Labels stand alone; of single-label tasks a value counts over all aspects together, if it occurs or either system gives it.
    """
    if not base.choices:
        return np.eye(len(base.labels), dtype=int)
    # Here, because it brings torch, which reading predictions does not need.
    from training.data.choices import value_columns

    return value_columns(base.given + other.given, base.truth, base.labels, base.choices)


def same_sentences(base: Predictions, other: Predictions, names: tuple[str, str]) -> Predictions:
    """Return the other predictions in the order of the base's sentences.

    Raises:
        NetralError: The two are not of the same sentences with the same labels.
    """
    wrong = ""
    if base.choices != other.choices:
        wrong = "not both give exactly one of the same labels"
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
                choices=base.choices,
            )
        wrong = f"{len(differ)} sentences have other gold labels, the first {base.sentence_ids[differ[0]]}"
    raise NetralError(f"{names[0]} and {names[1]} cannot be compared: {wrong}", "evaluate both on the same split of the same data set")
