"""A linear model of words beside the encoder: where a label has few examples, its cue words are the surest sign.

It reads what the encoder reads, as words and pairs of words, and its answer is added to the encoder's logits when these become
probabilities (docs/decisions.md has what it brings). The n-grams are kept as hashes: the file holds numbers alone.
"""

import re
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from netral.errors import NetralError
from netral.model_folder import LEXICAL_FILE, ModelFolder

_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")
_START, _END = "<s>", "</s>"


def ngrams(text: str) -> list[int]:
    """Return the distinct words and pairs of neighbouring words of a sentence as 32-bit hashes, ascending; numbers count as one word.

    >>> len(ngrams("ASN harus netral"))
    7
    >>> ngrams("Pasal 9") == ngrams("pasal 10")
    True
    """
    words = [_START, *_WORD.findall(_DIGITS.sub("0", text.lower())), _END]
    found = {*words[1:-1], *map(" ".join, pairwise(words))}
    return sorted({zlib.crc32(each.encode("utf-8", "surrogatepass")) for each in found})


@dataclass(frozen=True)
class Lexical:
    """A fitted model: TF-IDF of n-grams, present or not, scaled to length 1, and a weight for each n-gram and label.

    Attributes:
        keys: Hashes of the known n-grams, ascending, uint32 of shape (n-grams,).
        idf: Their inverse document frequency, float32.
        weights: float32 of shape (n-grams, labels).
        intercepts: float32 of shape (labels,).
    """

    keys: np.ndarray
    idf: np.ndarray
    weights: np.ndarray
    intercepts: np.ndarray

    def __post_init__(self) -> None:
        """Index the n-grams."""
        object.__setattr__(self, "_index", {key: row for row, key in enumerate(self.keys.tolist())})

    def scores(self, texts: list[str]) -> np.ndarray:
        """Return the log-odds of each label, float64 of shape (texts, labels); a text's answer depends on that text alone."""
        out = np.empty((len(texts), len(self.intercepts)))
        index: dict[int, int] = self._index  # type: ignore[attr-defined]
        for row, text in enumerate(texts):
            known = [index[key] for key in ngrams(text) if key in index]
            idf = self.idf[known].astype(np.float64)
            norm = np.sqrt((idf * idf).sum()) or 1.0
            out[row] = (idf[:, None] * self.weights[known]).sum(axis=0) / norm + self.intercepts
        return out

    def save(self, folder: Path) -> None:
        """Write it into a model folder."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in ("keys", "idf", "weights", "intercepts")}
        save_file(arrays, folder / LEXICAL_FILE)

    @classmethod
    def load(cls, folder: Path) -> "Lexical":
        """Read it from a model folder.

        Raises:
            NetralError: The file holds something else.
        """
        try:
            found = cls(**load_file(folder / LEXICAL_FILE))
            if found.weights.shape != (len(found.keys), len(found.intercepts)) or found.idf.shape != found.keys.shape:
                raise ValueError("its arrays do not fit together")
        except (TypeError, ValueError) as error:
            raise NetralError(f"{folder / LEXICAL_FILE}: no model of words ({error})", "copy the model folder again") from None
        return found


class Shifts:
    """What the words of a sentence add to its logits, as decision.json weighs them; nothing where the folder has no model of words."""

    def __init__(self, folder: ModelFolder) -> None:
        """Load the model of words if the folder's decisions use one."""
        self._weights = np.array([folder.decision.calibration[name].lexical for name in folder.labels])
        self._lexical = Lexical.load(folder.path) if folder.decision.uses_words else None

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Return float64 of shape (texts, labels) for texts in the form that the model reads."""
        if self._lexical is None:
            return np.zeros((len(texts), len(self._weights)))
        return np.asarray(self._lexical.scores(texts) * self._weights)
