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

LEXICAL_FILE = "lexical.safetensors"
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
        """Read it from a model folder."""
        return cls(**load_file(folder / LEXICAL_FILE))
