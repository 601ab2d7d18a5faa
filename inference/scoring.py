"""Runs batches on a backend: several at a time, again in parts where one fails, with scores that show nothing of the batch."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.backends import Backend
from inference.batching import Batch, make_batches
from inference.deciding import make_decider
from netral.errors import NetralError
from netral.model_folder import ModelFolder

if TYPE_CHECKING:
    from inference.predictor import PredictorStats


@dataclass(frozen=True, slots=True)
class Settling:
    """How a reduced precision keeps the decisions of fp32: sentences too close to a threshold are computed again in fp32.

    Attributes:
        band: How close, in units of the calibrated logit; in a choice, how close to the next label. Measured at export: what the
            precision moves scores by (parity.json).
        exact: Loads the fp32 backend; called when the first sentence needs it.
    """

    band: float
    exact: Callable[[], Backend]


class Scorer:
    """Turns rows of token ids into logits and calibrated scores."""

    def __init__(
        self,
        folder: ModelFolder,
        backend: Backend,
        batch_tokens: int,
        streams: int,
        stats: "PredictorStats",
        settling: Settling | None = None,
    ) -> None:
        """Take over a loaded backend; ``streams`` batches run at the same time."""
        self._folder, self._backend, self._stats = folder, backend, stats
        self._settling = settling
        self._exact: Scorer | None = None
        self._streams = streams
        self._batch_tokens = backend.fixed_tokens or batch_tokens
        self._pool = ThreadPoolExecutor(streams, "netral-score") if streams > 1 else None
        self._succeeded = False
        self._decider = make_decider(folder.decision)

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        if self._exact:
            self._exact.close()

    def logits(self, rows: list[list[int]]) -> np.ndarray:
        """Return raw logits, shape (rows, labels), float32.

        Raises:
            NetralError: A row could not be computed even alone.
        """
        found, problems = self._logits(rows)
        if problems:
            raise NetralError(f"the {self._backend.name} backend failed: {next(iter(problems.values()))}", "try another --backend")
        return found

    def scores(self, rows: list[list[int]], shifts: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
        """Return calibrated probabilities rounded to three decimals, and what went wrong for rows that could not be computed.

        ``shifts``, of shape (rows, labels), is added to the logits: what the words say (inference/lexical.py).
        A score whose rounding could go either way within the noise of the arithmetic is taken from the row computed
        alone; every other score rounds the same from any batch. In a reduced precision, a row with a score near a threshold
        is computed again in fp32.
        """
        found, problems = self._logits(rows)
        logits = found.astype(np.float64) + shifts
        scores = self._decider.scores(logits)
        if self._backend.noise:
            low, high = self._decider.bounds(logits, self._backend.noise)
            doubtful = [row for row in np.flatnonzero((low != high).any(axis=1)).tolist() if row not in problems]
            alone, failed = self._logits([rows[row] for row in doubtful], batch_tokens=1)
            problems.update({doubtful[index]: problem for index, problem in failed.items()})
            # Columns that are not in doubt keep their value: rounding them again could only restore it.
            settled = self._decider.scores(alone.astype(np.float64) + shifts[doubtful])
            scores[doubtful] = np.where(low[doubtful] != high[doubtful], settled, scores[doubtful])
        if self._settling:
            near = np.abs(self._decider.margins(logits)) <= self._settling.band
            close = [row for row in np.flatnonzero(near.any(axis=1)).tolist() if row not in problems]
            scores[close] = self._in_fp32([rows[row] for row in close], shifts[close], self._settling)
        return scores, problems

    def _in_fp32(self, rows: list[list[int]], shifts: np.ndarray, settling: Settling) -> np.ndarray:
        if not rows:
            return np.empty((0, len(self._folder.labels)))
        if self._exact is None:
            self._exact = Scorer(self._folder, settling.exact(), self._batch_tokens, self._streams, self._stats)
        self._stats.settled += len(rows)
        scores, problems = self._exact.scores(rows, shifts)
        if problems:
            raise NetralError(f"the {self._backend.name} backend failed in fp32: {next(iter(problems.values()))}", "try another --backend")
        return scores

    def _logits(self, rows: list[list[int]], batch_tokens: int | None = None) -> tuple[np.ndarray, dict[int, str]]:
        out = np.zeros((len(rows), len(self._folder.labels)), dtype=np.float32)
        problems: dict[int, str] = {}
        fixed = self._backend.fixed_tokens is not None
        batches = make_batches(rows, self._folder.pad_id, batch_tokens or self._batch_tokens, fixed)
        for batch, found, wrong in self._mapped(self._attempt, batches):
            out[batch.rows] = found
            problems.update(wrong)
        if problems and len(problems) == len(rows) and not self._succeeded and len(rows) > 1:
            raise NetralError(
                f"the {self._backend.name} backend fails on every sentence: {next(iter(problems.values()))}",
                "try another --backend, or export the model again",
            )
        self._succeeded = self._succeeded or len(problems) < len(rows)
        return out, problems

    def _mapped(
        self, work: Callable[[Batch], tuple[np.ndarray, dict[int, str]]], batches: Iterator[Batch]
    ) -> Iterator[tuple[Batch, np.ndarray, dict[int, str]]]:
        each = list(batches)
        results = self._pool.map(work, each) if self._pool else map(work, each)
        for batch, (found, wrong) in zip(each, results, strict=True):
            yield batch, found, wrong

    def _attempt(self, batch: Batch) -> tuple[np.ndarray, dict[int, str]]:
        """Compute a batch; if that fails its halves, and of a half that fails too each row alone."""
        count = len(batch.rows)
        out = np.zeros((count, len(self._folder.labels)), dtype=np.float32)
        problems: dict[int, str] = {}
        parts = [(0, count)]
        for size in (count, -(-count // 2), 1):
            parts = [(b, min(b + size, end)) for begin, end in parts for b in range(begin, end, size)]
            failed = []
            for begin, end in parts:
                try:
                    out[begin:end] = self._checked(batch if end - begin == count else batch.part(begin, end), end - begin)
                except Exception as error:
                    self._stats.retries += end - begin > 1
                    self._smaller(error)
                    problems.update({int(row): f"{type(error).__name__}: {error}" for row in batch.rows[begin:end]})
                    failed.append((begin, end))
                else:
                    for row in batch.rows[begin:end]:
                        problems.pop(int(row), None)
            parts = failed
            if not parts or count == 1:
                break
        return out, problems

    def _checked(self, batch: Batch, count: int) -> np.ndarray:
        found = self._backend.logits(batch.input_ids, batch.attention_mask)[:count]
        if not np.isfinite(found).all():
            raise FloatingPointError("the logits are not finite")
        return found

    def _smaller(self, error: Exception) -> None:
        """Halve the budget of all later batches where memory ran out; shapes that are fixed are halved too."""
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            self._batch_tokens = max(1, self._batch_tokens // 2)
