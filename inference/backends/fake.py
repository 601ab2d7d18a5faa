"""Logits made from the token ids alone: for testing jobs around a model without its cost."""

import numpy as np

from netral.model_folder import ModelFolder


class FakeBackend:
    """Deterministic, different from sentence to sentence, independent of padding; means nothing."""

    name, precision, noise = "fake", "fp32", 0.0
    fixed_tokens: int | None = None

    def __init__(self, folder: ModelFolder) -> None:
        """Take over the number of labels."""
        self._labels = len(folder.labels)

    def logits(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Return pseudo-random logits between -6 and 2."""
        weights = np.arange(1, input_ids.shape[1] + 1, dtype=np.int64) * 2654435761 % 1000003
        sums = (input_ids * attention_mask * weights).sum(axis=1)
        salted = sums[:, None] * np.array([7919 * (k + 1) + 104729 for k in range(self._labels)], dtype=np.int64)
        return np.asarray(salted % 8009 / 1001 - 6, dtype=np.float32)
