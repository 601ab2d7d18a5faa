"""The one object that turns sentences into predictions, in jobs, in evaluation and in notebooks."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np

from inference.backends import Backend, Variant, make_backend
from inference.cache import ScoreCache
from inference.choose import Choice, choose_variant
from inference.deciding import SCORE_DECIMALS, make_decider
from inference.exports.parity import EXPORTS, read_parity
from inference.host import allowed_cores
from inference.lexical import Shifts
from inference.scoring import Scorer, Settling
from inference.tokenise import Text, Tokeniser
from netral.errors import NetralError
from netral.model_folder import ModelFolder, open_model_folder
from netral.progress import Progress
from netral.records import Failure, Prediction

DEFAULT_MODEL = Path(__file__).parent / "default_model"
# Distinct sentences whose scores are remembered within a run: 50 MB more after 20,000 crawled articles than after 1,000.
_REMEMBERED = 100_000


@dataclass(slots=True)
class PredictorStats:
    """What a Predictor was spared and what went wrong, counted since it was made.

    Attributes:
        sentences: Sentences asked for.
        duplicates: Sentences that stood in the run before and were not scored again.
        cache_hits: Sentences whose scores came from the cache on disk.
        windows: Windows that sentences longer than the model reads were cut into.
        retries: Batches that failed and were scored in parts.
        failures: Sentences that could not be scored even alone.
        settled: Rows near a threshold that a reduced precision computed again in fp32.
    """

    sentences: int = 0
    duplicates: int = 0
    cache_hits: int = 0
    windows: int = 0
    retries: int = 0
    failures: int = 0
    settled: int = 0


@dataclass(frozen=True, slots=True)
class _Window:
    """Sentences read ahead: their texts as the model sees them, for each new text its rows of token ids, and those that were cut."""

    texts: list[str]
    rows: dict[str, list[list[int]]]
    cut: set[str]


def settling_of(folder: ModelFolder, variant: Variant, device: str, streams: int) -> Settling | None:
    """Return how an exported variant keeps the decisions of fp32; None for fp32 itself."""
    parity = read_parity(folder, str(variant), digests=False) if variant.precision != "fp32" else None
    if parity is None:
        return None
    export = folder.path / EXPORTS / str(variant)
    return Settling(parity.band, lambda: make_backend(folder, Variant(variant.backend, "fp32"), device, streams, export=export))


class Predictor:
    """A loaded model folder.

    Not thread-safe: use one in each thread or process. It keeps all cores busy by itself. As a context manager it closes its
    threads and its cache at the end.

    Example:
        >>> predictor = Predictor(backend="fake")
        >>> predictor.labels
        ('warning', 'sanction_threat', 'permission', 'regulation_reference')
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        backend: str | Backend = "auto",
        precision: str = "auto",
        device: str = "auto",
        batch_tokens: int = 1024,
        window: int = 4096,
        streams: int | None = None,
        cache: str | Path | None = None,
        settling: Settling | None = None,
    ) -> None:
        """Check the folder, then load it.

        Args:
            model: A folder written by `netral train`; None is the embedded default model.
            backend: ``auto``, ``torch``, ``onnx``, ``openvino`` or ``fake``, or a loaded backend of your own. ``auto`` times what is
                exported and takes the fastest.
            precision: ``auto``, ``fp32``, ``bf16``, ``fp16`` or ``int8``.
            device: ``auto``, ``cpu`` or ``cuda``.
            batch_tokens: Upper bound on sentences times padded length in one batch. Does not change the result.
            window: Sentences read ahead to sort by length. Does not change the result.
            streams: Batches computed at the same time, each on one core; None is as many as the process may use cores.
            cache: Folder that keeps scores from run to run.
            settling: For a loaded backend of a reduced precision: how it keeps the decisions of fp32.

        Raises:
            NetralError: The folder is missing, foreign or damaged, or the backend is not available.
        """
        self.folder = open_model_folder(Path(model) if model is not None else DEFAULT_MODEL)
        self._tokeniser = Tokeniser(self.folder)
        streams = streams or allowed_cores()
        self.choice: Choice | None = None
        if isinstance(backend, str):
            self.choice = choose_variant(self.folder, backend, precision, device)
            streams = 1 if self.choice.device == "cuda" else streams
            settling = settling_of(self.folder, self.choice.variant, self.choice.device, streams)
            backend = make_backend(self.folder, self.choice.variant, self.choice.device, streams)
        self.backend, self.precision = backend.name, backend.precision
        self.stats = PredictorStats()
        self._scorer = Scorer(self.folder, backend, batch_tokens, streams, self.stats, settling)
        namespace = f"{self.folder.fingerprint}-{backend.name}-{backend.precision}"
        self._cache = ScoreCache(Path(cache), namespace, len(self.labels)) if cache is not None else None
        self._ahead = ThreadPoolExecutor(1, "netral-tokenise")
        self._window = window
        self._remembered: OrderedDict[str, np.ndarray] = OrderedDict()
        self._decider = make_decider(self.folder.decision)
        self._shifts = Shifts(self.folder)

    def __enter__(self) -> "Predictor":
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End its threads and close its cache; it cannot be used afterwards."""
        self._ahead.shutdown(cancel_futures=True)
        self._scorer.close()
        if self._cache:
            self._cache.close()

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of the model's outputs."""
        return self.folder.labels

    @property
    def review(self) -> dict[str, tuple[float, float]]:
        """The scores of each label between which a person should look; empty for a model without review bands."""
        return self.folder.decision.review

    @property
    def pairs(self) -> bool:
        """Whether the model reads pairs: everything asked of it is then a tuple of two sentences."""
        return self.folder.serving.pairs

    def predict(self, sentences: Sequence[Text], *, progress: bool = False) -> list[Prediction]:
        """Return one prediction for each sentence (of a model for pairs: for each tuple of two), in order; with ``progress`` show a bar.

        Raises:
            NetralError: The backend failed on a sentence even when it was scored alone, or a pair is asked of a model for single
                sentences or the other way round.
        """
        if not progress:
            return list(self.stream(sentences))
        found = []
        with Progress("predict", "sentences", len(sentences)) as bar:
            for prediction in self.stream(sentences):
                found.append(prediction)
                bar.advance(1)
        return found

    def stream(self, sentences: Iterable[Text]) -> Iterator[Prediction]:
        """Yield one prediction for each sentence, in order, holding two windows of sentences in memory.

        The next window is read and tokenised, in a thread of its own, while one is computed.

        Raises:
            NetralError: The backend failed on a sentence even when it was scored alone.
        """
        for found in self.attempt(sentences):
            if isinstance(found, Failure):
                raise NetralError(
                    f"the {self.backend} backend failed: {found.detail}", "try another --backend, or a smaller --batch-tokens"
                )
            yield found

    def attempt(self, sentences: Iterable[Text]) -> Iterator[Prediction | Failure]:
        """Yield like :meth:`stream`, but a Failure in the place of a sentence that cannot be scored."""
        iterator = iter(sentences)
        ahead = self._ahead.submit(self._read, iterator)
        while window := ahead.result():
            ahead = self._ahead.submit(self._read, iterator)
            yield from self._predicted(window)

    def logits(self, sentences: Sequence[Text]) -> np.ndarray:
        """Return the encoder's raw logits, shape (sentences, labels), float32, as plain transformers gives them.

        A sentence longer than the model reads has the largest logits of its windows, in a choice their mean.
        """
        rows, _ = self._tokeniser.rows([self._tokeniser.key(s) for s in sentences])
        scored = self._scorer.logits([row for each in rows for row in each])
        if not rows:
            return np.empty((0, len(self.labels)), dtype=np.float32)
        return np.stack([self._decider.merged(each) for each in np.split(scored, np.cumsum([len(each) for each in rows])[:-1])])

    def shifts(self, sentences: Sequence[Text]) -> np.ndarray:
        """Return what the words add to the logits before calibration, shape (sentences, labels); zeros for a model without them."""
        return self._shifts([self._tokeniser.key(sentence) for sentence in sentences])

    def _read(self, sentences: Iterator[Text]) -> _Window | None:
        """Take the next window from the source and tokenise what was not scored before."""
        texts = [self._tokeniser.key(sentence) for sentence in islice(sentences, self._window)]
        if not texts:
            return None
        new = list(dict.fromkeys(texts))
        rows, cut = self._tokeniser.rows(new)
        return _Window(texts, dict(zip(new, rows, strict=True)), cut)

    def _predicted(self, window: _Window) -> Iterator[Prediction | Failure]:
        self.stats.sentences += len(window.texts)
        scores = self._scores(window)
        for text in window.texts:
            score = scores[text]
            if isinstance(score, Failure):
                yield score
                continue
            yield Prediction(
                labels=tuple(name for name, yes in zip(self.labels, self._decider.given(score), strict=True) if yes),
                scores=dict(zip(self.labels, map(float, score), strict=True)),
                truncated=text in window.cut,
            )

    def _scores(self, window: _Window) -> dict[str, np.ndarray | Failure]:
        """Find the scores of a window's texts: remembered, in the cache, or computed now."""
        found: dict[str, np.ndarray | Failure] = {}
        for text in window.rows:
            if text in self._remembered:
                self._remembered.move_to_end(text)
                found[text] = self._remembered[text]
        self.stats.duplicates += len(window.texts) - len(window.rows) + len(found)
        if self._cache:
            cached = self._cache.get([text for text in window.rows if text not in found])
            self.stats.cache_hits += len(cached)
            found.update(cached)
        wanted = [text for text in window.rows if text not in found]
        computed = self._computed(wanted, window.rows)
        found.update(computed)
        good = {text: score for text, score in found.items() if not isinstance(score, Failure)}
        if self._cache:
            self._cache.put({text: good[text] for text in wanted if text in good})
        self._remembered.update(good)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    def _computed(self, texts: list[str], rows: dict[str, list[list[int]]]) -> dict[str, np.ndarray | Failure]:
        flat = [row for text in texts for row in rows[text]]
        shifts = np.repeat(self._shifts(texts), [len(rows[text]) for text in texts], axis=0)
        scores, problems = self._scorer.scores(flat, shifts)
        found: dict[str, np.ndarray | Failure] = {}
        begin = 0
        for text in texts:
            end = begin + len(rows[text])
            failed = next((problems[row] for row in range(begin, end) if row in problems), None)
            merged = np.round(self._decider.merged(scores[begin:end]), SCORE_DECIMALS)
            found[text] = Failure("backend_failed", failed) if failed else merged
            self.stats.windows += end - begin if end - begin > 1 else 0
            self.stats.failures += failed is not None
            begin = end
        return found
