"""Finds articles that share most of their text: exact copies, cut or re-headlined wire stories.

Word shingles, sampled as in FracMinHash (Irber et al. 2022, doi:10.1101/2022.01.11.475838), name the candidates; the exact
containment of the shorter article's shingles in the longer one decides. docs/dedup.md has the measurements.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["unique", "representative", "exact", "near"]
Hashes = npt.NDArray[np.uint32]

_WORD = re.compile(r"\w+")
# Best F1 by containment alone on 200 labelled pairs: 0.83 with 4 words, 0.82 with 3, 0.81 with 5, 0.79 with 7.
_SHINGLE = 4
# A text of fewer shingles than this, a headline or a caption, may stand in any article: only its exact copies count.
_FEWEST_SHINGLES = 20
# Every fourth hash value names candidates: an article of 45 words still has about ten, and the chance that none of them
# is shared at a containment of 0.55 is 0.45^10.
_SAMPLED = np.uint32(2**32 // 4)
# A shingle that stands in more representatives is boilerplate. The bound keeps the work of one article constant, however
# many daily forecasts in the same words there are.
_MOST_HOLDERS = 64
_CANDIDATES = 8
# Daily forecasts, price lists and timetables repeat their words with other figures: on the labelled pairs this took out six
# wrong matches and two right ones.
_NEW_NUMBERS = 3
_NEW_NUMBERS_SHARE = 0.25

# A text more than twenty times as long is a collection: without this bound one of 6,579 words took in 38 articles on several subjects;
# a bound of ten times lost labelled near copies and was no more precise.
_SHORTEST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Signature:
    """What is kept of an article's text to compare it.

    Attributes:
        digest: Hash of its words in order; equal for copies that differ in spaces, punctuation or case.
        shingles: Hashes of its word 4-grams, sorted, each once.
        numbers: Hashes of its words that hold a digit, sorted, each once.
    """

    digest: str
    shingles: Hashes
    numbers: Hashes


@dataclass(frozen=True, slots=True)
class Membership:
    """An article's place among the clusters.

    Attributes:
        cluster: Digest of the representative's text, the same for any order of the articles.
        representative: Index of the longest article of the cluster.
        kind: `unique` alone in its cluster, `representative`, `exact` copy of it, or `near`.
        similarity: Containment of its shingles in the representative's, 0 to 1.
    """

    cluster: str
    representative: int
    kind: Kind
    similarity: float


def words_of(text: str) -> list[str]:
    """Return the words that are compared: lower case, without punctuation.

    >>> words_of("JAKARTA – Harga Rp5.000, kata dia.")
    ['jakarta', 'harga', 'rp5', '000', 'kata', 'dia']
    """
    return _WORD.findall(text.lower())


def signature(text: str) -> Signature:
    """Hash a text's words, word 4-grams and numbers.

    >>> a, b = signature("ASN wajib netral dalam pemilu 2024"), signature("ASN wajib netral, dalam Pemilu 2024!")
    >>> a.digest == b.digest, len(a.shingles), len(a.numbers)
    (True, 3, 1)
    """
    words = words_of(text)
    digest = blake2b(" ".join(words).encode(), digest_size=8).hexdigest()
    # Not hash(): it differs from process to process.
    hashes = np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint64, len(words))
    numeric = np.fromiter((any(c.isdigit() for c in word) for word in words), np.bool_, len(words))
    return Signature(digest, _shingles(hashes), np.unique(hashes[numeric].astype(np.uint32)))


def _shingles(words: npt.NDArray[np.uint64]) -> Hashes:
    count = max(len(words) - _SHINGLE + 1, 0)
    mixed = np.zeros(count, np.uint64)
    for i in range(_SHINGLE):
        mixed = _mix(mixed * np.uint64(0x9E3779B97F4A7C15) + words[i : i + count])
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread the bits (the finaliser of SplitMix64): CRC-32 is linear, and the sample takes the smallest values."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def containment(shorter: Signature, longer: Signature) -> float:
    """Return the share of one article's shingles that stand in the other; 0 for an article without any.

    >>> story = "Bupati meminta pegawai netral. Ia berbicara dalam apel pagi di halaman kantor."
    >>> containment(signature("Bupati meminta pegawai netral. Ia berbicara."), signature(story))
    1.0
    """
    if not len(shorter.shingles):
        return 0.0
    return _shared(shorter.shingles, longer.shingles) / len(shorter.shingles)


def _shared(some: Hashes, others: Hashes) -> int:
    return len(np.intersect1d(some, others, assume_unique=True))


def _may_be_copy(shorter: Signature, longer: Signature) -> bool:
    return len(shorter.shingles) >= _SHORTEST_SHARE * len(longer.shingles) and not _has_other_numbers(shorter, longer)


def _has_other_numbers(shorter: Signature, longer: Signature) -> bool:
    new = len(shorter.numbers) - _shared(shorter.numbers, longer.numbers)
    return new >= _NEW_NUMBERS and new > _NEW_NUMBERS_SHARE * len(shorter.numbers)


def cluster(
    signatures: Sequence[Signature], ids: Sequence[str], threshold: float, advance: Callable[[int], None] = lambda _: None
) -> list[Membership]:
    """Put every article into one cluster.

    Articles are taken from the longest to the shortest. Each joins the representative in which most of its shingles stand, if
    that is at least the threshold; otherwise it becomes a representative itself. So every member is compared with the
    representative, never with another member, and no chain of small likenesses can join two stories.

    Args:
        signatures: One signature an article.
        ids: The article ids; they decide only which of several exact copies is the representative.
        threshold: Least containment of a near copy.
        advance: Called with the number of articles done.

    Returns:
        The membership of each article, in the order given. The same articles in another order give the same clusters.
    """
    order = sorted(range(len(signatures)), key=lambda i: (-len(signatures[i].shingles), signatures[i].digest, ids[i]))
    index = _Index(signatures)
    first: dict[str, int] = {}
    found: dict[int, tuple[int, float]] = {}
    for i in order:
        copy_of = first.setdefault(signatures[i].digest, i)
        if copy_of != i:
            found[i] = found[copy_of]
        else:
            found[i] = index.best(i, threshold) or (i, 1.0)
            if found[i][0] == i:
                index.add(i)
        advance(1)
    sizes = Counter(representative for representative, _ in found.values())
    return [_membership(i, *found[i], signatures, sizes) for i in range(len(signatures))]


def _membership(i: int, representative: int, similarity: float, signatures: Sequence[Signature], sizes: Counter[int]) -> Membership:
    digest = signatures[representative].digest
    kind: Kind = "near"
    if i == representative:
        kind = "representative" if sizes[i] > 1 else "unique"
    elif signatures[i].digest == digest:
        kind = "exact"
    return Membership(digest, representative, kind, round(similarity, 3))


class _Index:
    """Finds the representatives that share sampled shingles with an article."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self._signatures = signatures
        # Four of five shingles stand in one article only and can name no candidate; leaving them out keeps the index small.
        values, counts = np.unique(np.concatenate([_sample(s) for s in signatures] or [np.zeros(0, np.uint32)]), return_counts=True)
        self._repeated = values[counts > 1]
        self._holders: dict[int, list[int]] = {}

    def _keys(self, i: int) -> list[int]:
        sample = _sample(self._signatures[i])
        if not len(self._repeated) or not len(sample):
            return []
        # Not intersect1d: it would sort all repeated shingles again for every article.
        places = np.minimum(np.searchsorted(self._repeated, sample), len(self._repeated) - 1)
        keys: list[int] = sample[self._repeated[places] == sample].tolist()
        return keys

    def add(self, i: int) -> None:
        """Make an article a representative."""
        for key in self._keys(i):
            holders = self._holders.setdefault(key, [])
            if len(holders) < _MOST_HOLDERS:
                holders.append(i)

    def best(self, i: int, threshold: float) -> tuple[int, float] | None:
        """Return the representative that holds most of an article, and how much; None below the threshold."""
        article = self._signatures[i]
        if len(article.shingles) < _FEWEST_SHINGLES:
            return None
        hits = Counter(holder for key in self._keys(i) for holder in self._holders.get(key, ()))
        best: tuple[int, float] | None = None
        for holder, _ in sorted(hits.items(), key=lambda item: (-item[1], self._signatures[item[0]].digest))[:_CANDIDATES]:
            other = self._signatures[holder]
            similarity = containment(article, other)
            if similarity >= threshold and (best is None or similarity > best[1]) and _may_be_copy(article, other):
                best = holder, similarity
        return best


def _sample(article: Signature) -> Hashes:
    return article.shingles[: int(np.searchsorted(article.shingles, _SAMPLED))]
