"""Which label is given where another was to be given."""

from dataclasses import dataclass

import numpy as np

from netral.labels import value_of
from training.statistics.predictions import Predictions

NOTHING_INSTEAD = "nothing instead"
NONE_MISSED = "no gold label missed"


@dataclass(frozen=True, slots=True)
class Confusion:
    """A table of counts.

    Attributes:
        aspect: The aspect whose values it is about; empty for labels.
        rows: Gold labels; of several labels a sentence, NONE_MISSED at the end.
        columns: Given labels; of several labels a sentence, NOTHING_INSTEAD at the end.
        counts: Sentences, of shape (rows, columns).
        of: Of each row, the sentences that its counts are shares of.
    """

    aspect: str
    rows: list[str]
    columns: list[str]
    counts: np.ndarray
    of: np.ndarray


def confusions(found: Predictions) -> list[Confusion]:
    """Count what is given for what: one table, or one for each aspect where exactly one value is given.

    Several labels a sentence: on the diagonal the sentences in which a label was found; elsewhere those in which the row's label was missed
    and the column's wrongly given, in the last column those in which it was missed and nothing wrongly given, in the last row those in
    which the column's was wrongly given and nothing missed. A sentence with several errors counts in several cells.
    """
    if found.choices:
        return [_of_choice(found, aspect, names) for aspect, names in found.choices.items()]
    truth, given = found.truth.astype(int), found.given.astype(int)
    missed, wrong = truth * (1 - given), given * (1 - truth)
    nothing_missed, nothing_wrong = missed.sum(1) == 0, wrong.sum(1) == 0
    counts = np.zeros((len(found.labels) + 1, len(found.labels) + 1), dtype=int)
    counts[:-1, :-1] = missed.T @ wrong + np.diag((truth * given).sum(0))
    counts[:-1, -1] = missed[nothing_wrong].sum(0)
    counts[-1, :-1] = wrong[nothing_missed].sum(0)
    of = np.append(truth.sum(0), (nothing_missed & ~nothing_wrong).sum())
    return [Confusion("", [*found.labels, NONE_MISSED], [*found.labels, NOTHING_INSTEAD], counts, of)]


def _of_choice(found: Predictions, aspect: str, names: list[str]) -> Confusion:
    columns = [found.labels.index(name) for name in names]
    truth, given = found.truth[:, columns], found.given[:, columns]
    values = [value_of(name, aspect) for name in names]
    return Confusion(aspect, values, values, truth.T @ given, truth.sum(0))
