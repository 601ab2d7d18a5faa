"""The one object that turns sentences into predictions, in jobs, in evaluation and in notebooks."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from inference.backends import make_backend
from inference.batching import Batch, make_batches
from netral.errors import NetralError
from netral.model_folder import open_model_folder
from netral.records import Prediction
from netral.text import model_text

DEFAULT_MODEL = Path(__file__).parent / "default_model"
SCORE_DECIMALS = 3
# The same sentence in another batch gives logits that differ by rounding in the last bits (the size seen is in docs/decisions.md).
# A score that close to a rounding edge is settled by scoring the sentence alone.
LOGIT_NOISE = 2e-4


def _load_tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise NetralError(f"{path}: no tokenizer can be read ({error})", "copy the model folder again, or train it again") from None


class Predictor:
    """A loaded model folder.

    Not thread-safe: use one in each thread or process.

    Example:
        >>> predictor = Predictor(backend="fake")
        >>> predictor.labels
        ('warning', 'sanction_threat', 'permission', 'regulation_reference')
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        backend: str = "auto",
        device: str = "auto",
        batch_tokens: int = 4096,
        window: int = 4096,
    ) -> None:
        """Check the folder, then load it.

        Args:
            model: A folder written by `netral train`; None is the embedded default model.
            backend: ``auto``, ``torch`` or ``fake``.
            device: ``auto``, ``cpu`` or ``cuda``.
            batch_tokens: Upper bound on sentences times padded length in one batch. Does not change the result.
            window: Sentences read ahead in :meth:`stream` to sort by length. Does not change the result.

        Raises:
            NetralError: The folder is missing, foreign or damaged, or the backend is not available.
        """
        self.folder = open_model_folder(Path(model) if model is not None else DEFAULT_MODEL)
        self._tokenizer = _load_tokenizer(self.folder.path / "tokenizer.json")
        self._backend = make_backend(backend, self.folder, device)
        self.backend = self._backend.name
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._batch_tokens, self._window = batch_tokens, window
        decision = self.folder.decision
        self._slopes = np.array([decision.calibration[name].slope for name in decision.labels])
        self._offsets = np.array([decision.calibration[name].offset for name in decision.labels])
        self._thresholds = np.array([decision.thresholds[name] for name in decision.labels])

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of the model's outputs."""
        return self.folder.labels

    def predict(self, sentences: Sequence[str]) -> list[Prediction]:
        """Return one prediction for each sentence, in order."""
        return list(self.stream(sentences))

    def stream(self, sentences: Iterable[str]) -> Iterator[Prediction]:
        """Yield one prediction for each sentence, in order, holding one window of sentences in memory."""
        iterator = iter(sentences)
        while chunk := list(islice(iterator, self._window)):
            yield from self._predict_window(chunk)

    def logits(self, sentences: Sequence[str]) -> np.ndarray:
        """Return the model's raw logits, shape (sentences, labels), float32, before calibration."""
        ids, _ = self._encode([model_text(s) for s in sentences])
        return self._score(ids)

    def _predict_window(self, sentences: list[str]) -> Iterator[Prediction]:
        # Crawls repeat themselves: each text is scored once.
        texts = [model_text(sentence) for sentence in sentences]
        index = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        ids, truncated = self._encode(list(index))
        scores = self._settled_scores(ids)
        given = scores >= self._thresholds
        for text in texts:
            i = index[text]
            yield Prediction(
                labels=tuple(name for name, yes in zip(self.labels, given[i], strict=True) if yes),
                scores=dict(zip(self.labels, map(float, scores[i]), strict=True)),
                truncated=truncated[i],
            )

    def _encode(self, texts: list[str]) -> tuple[list[list[int]], list[bool]]:
        """Tokenise; cut to the model's length keeping the closing special token."""
        limit = self.folder.serving.max_length
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        cut = [len(ids) > limit for ids in encoded]
        return [[*ids[: limit - 1], ids[-1]] if too_long else ids for ids, too_long in zip(encoded, cut, strict=True)], cut

    def _score(self, ids: list[list[int]]) -> np.ndarray:
        out = np.empty((len(ids), len(self.labels)), dtype=np.float32)
        for batch in make_batches(ids, self.folder.pad_id, self._batch_tokens):
            out[batch.rows] = self._run(batch)
        return out

    def _run(self, batch: Batch) -> np.ndarray:
        return self._backend.logits(batch.input_ids, batch.attention_mask)

    def _settled_scores(self, ids: list[list[int]]) -> np.ndarray:
        """Return calibrated probabilities rounded so that the batch a sentence was in cannot show.

        A score whose rounding could go either way within the noise of the arithmetic is taken from the sentence scored
        alone, without padding; every other score rounds the same from any batch.
        """
        logits = self._score(ids).astype(np.float64)
        low, high = self._rounded(logits - LOGIT_NOISE), self._rounded(logits + LOGIT_NOISE)
        scores = self._rounded(logits)
        for row in np.flatnonzero((low != high).any(axis=1)):
            (batch,) = make_batches([ids[row]], self.folder.pad_id, 1)
            alone = self._rounded(self._run(batch)[0].astype(np.float64)[None])[0]
            # Columns that are not in doubt keep their value: rounding them again could only restore it.
            scores[row] = np.where(low[row] != high[row], alone, scores[row])
        return scores

    def _rounded(self, logits: np.ndarray) -> np.ndarray:
        z = np.clip(logits * self._slopes + self._offsets, -60, 60)
        return np.asarray(np.round(1 / (1 + np.exp(-z)), SCORE_DECIMALS))
