"""Groups tokenised sentences into padded batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Batch:
    """One padded batch.

    Attributes:
        rows: The position of each sentence in the input, shape (batch,).
        input_ids: Token ids, int64, shape (batch, length).
        attention_mask: 1 for tokens and 0 for padding, same shape.
    """

    rows: np.ndarray
    input_ids: np.ndarray
    attention_mask: np.ndarray


def make_batches(ids: Sequence[Sequence[int]], pad_id: int, batch_tokens: int) -> Iterator[Batch]:
    """Yield batches of sentences of similar length; sentences times padded length stays within ``batch_tokens``.

    A sentence longer than the budget makes a batch of its own. Every sentence is in exactly one batch.
    """
    order = sorted(range(len(ids)), key=lambda i: (-len(ids[i]), i))
    begin = 0
    while begin < len(order):
        length = len(ids[order[begin]])
        count = max(1, batch_tokens // length)
        rows = order[begin : begin + count]
        input_ids = np.full((len(rows), length), pad_id, dtype=np.int64)
        attention_mask = np.zeros((len(rows), length), dtype=np.int64)
        for line, row in enumerate(rows):
            size = len(ids[row])
            input_ids[line, :size] = ids[row]
            attention_mask[line, :size] = 1
        yield Batch(np.array(rows), input_ids, attention_mask)
        begin += count
