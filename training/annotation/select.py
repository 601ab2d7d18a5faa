"""Chooses which sentences to label next: some the model doubts, some that rules contradict, some unlike the others, some at random."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
from sklearn.cluster import kmeans_plusplus
from sklearn.feature_extraction.text import TfidfVectorizer

from netral.text import model_text
from training.data.near_duplicates import group_articles

# Near-duplicates are found by comparing every pair, so that random draw and diversity look at this many sentences of a crawl, drawn evenly.
POOL = 10_000
# Of a ranking, this many times what is asked for are looked at: some fall out as near-duplicates of others.
_SPARE = 10


@dataclass(frozen=True, slots=True)
class Candidates:
    """The sentences to choose from.

    Attributes:
        sentences: Their texts.
        scores: Probabilities of shape (sentences, labels).
        given: What the model decided, 0/1 of the same shape.
        rules: What rules and the parser of citations say, 0/1 of the same shape.
        thresholds: The model's threshold for each label.
    """

    sentences: Sequence[str]
    scores: np.ndarray
    given: np.ndarray
    rules: np.ndarray
    thresholds: np.ndarray


@dataclass(frozen=True, slots=True)
class Choice:
    """One chosen sentence: its index, why, and for the random share its chance of being drawn."""

    index: int
    strategy: str
    inclusion_probability: float | None = None


def quotas(n: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Divide a number by shares, whole and without loss (largest remainders).

    >>> quotas(10, {"uncertainty": 0.5, "random": 0.25, "diversity": 0.25})
    {'uncertainty': 5, 'random': 3, 'diversity': 2}
    """
    total = sum(shares.values())
    exact = {name: n * share / total for name, share in shares.items()}
    out = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: out[name] - exact[name])[: n - sum(out.values())]:
        out[name] += 1
    return out


def choose(
    candidates: Candidates, n: int, shares: Mapping[str, float], threshold: float, seed: int, excluded: Sequence[str] = ()
) -> list[Choice]:
    """Choose at most ``n`` sentences, no two of one group of near-duplicates, in the order of the input.

    The random share is drawn first and from all groups alike, so that what the other strategies choose cannot bias it. A
    sentence drawn at random counts ``1 / inclusion_probability`` sentences of the input in an estimate (Horvitz and Thompson 1952).

    Args:
        candidates: The sentences.
        n: How many to choose.
        shares: The part of each strategy: random, uncertainty, disagreement, diversity. What one cannot fill the next one gets.
        threshold: Jaccard similarity of character 5-grams from which two sentences are near-duplicates.
        seed: Decides every draw.
        excluded: Sentences that were labelled before; nothing like them is chosen.
    """
    rng = np.random.default_rng(seed)
    wanted = quotas(n, shares)
    size = len(candidates.sentences)
    pool = np.sort(rng.choice(size, POOL, replace=False)) if size > POOL else np.arange(size)
    doubtful = list(_first(uncertain(candidates), n * _SPARE))
    contradicted = list(_first(contradictions(candidates), n * _SPARE))
    looked_at = sorted({*pool.tolist(), *doubtful, *contradicted})
    group, taken = _groups(candidates.sentences, looked_at, excluded, threshold)
    chosen = _draw(pool, group, taken, wanted.get("random", 0), size, rng)
    taken |= {group[choice.index] for choice in chosen}
    short = wanted.get("random", 0) - len(chosen)
    for strategy in ("uncertainty", "disagreement", "diversity"):
        count = wanted.get(strategy, 0) + (short if wanted.get(strategy, 0) else 0)
        ranking: Iterable[int]
        if strategy == "diversity":
            ranking = _diverse(candidates, pool, group, taken, count, seed)
        else:
            ranking = doubtful if strategy == "uncertainty" else contradicted
        found = _take(ranking, group, taken, count, strategy)
        if wanted.get(strategy, 0):
            short = count - len(found)
        chosen += found
    return sorted(chosen, key=lambda choice: choice.index)


def _groups(sentences: Sequence[str], looked_at: list[int], excluded: Sequence[str], threshold: float) -> tuple[dict[int, int], set[int]]:
    """Return the near-duplicate group of each sentence looked at, and the groups of what is excluded."""
    texts = [*(sentences[i] for i in looked_at), *excluded]
    # The text is its own id: equal sentences then share a group also where they are too short to count as near-duplicates.
    groups = group_articles(texts, [model_text(text).lower() for text in texts], threshold)
    return dict(zip(looked_at, groups, strict=False)), set(groups[len(looked_at) :])


def _draw(pool: np.ndarray, group: Mapping[int, int], taken: set[int], count: int, size: int, rng: np.random.Generator) -> list[Choice]:
    """Draw groups evenly, and from each one sentence: its chance is that of the pool, the group and the draw within it, multiplied."""
    members: dict[int, list[int]] = {}
    for i in pool.tolist():
        if group[i] not in taken:
            members.setdefault(group[i], []).append(i)
    ids = list(members)
    drawn: list[int] = rng.choice(len(ids), min(count, len(ids)), replace=False).tolist() if ids else []
    out = []
    for k in drawn:
        rows = members[ids[k]]
        chance = len(pool) / size * len(drawn) / len(ids) / len(rows)
        out.append(Choice(int(rng.choice(rows)), "random", float(f"{chance:.6g}")))
    return out


def _take(ranking: Iterable[int], group: Mapping[int, int], taken: set[int], count: int, strategy: str) -> list[Choice]:
    out: list[Choice] = []
    for i in ranking:
        if len(out) == count:
            break
        if group[i] not in taken:
            taken.add(group[i])
            out.append(Choice(int(i), strategy))
    return out


def uncertain(candidates: Candidates) -> Iterator[int]:
    """Yield the sentences nearest the threshold of each label in turn, so that a frequent label does not fill the share.

    Near is measured in logits: a step from 0.02 to 0.05 says more than one from 0.50 to 0.53.
    """
    distance = np.abs(_logit(candidates.scores) - _logit(candidates.thresholds))
    return _in_turn([np.argsort(column, kind="stable").tolist() for column in distance.T])


def contradictions(candidates: Candidates) -> Iterator[int]:
    """Yield where the rules say yes and the model no, or the other way round: the surest of each kind in turn."""
    rankings = []
    for k in range(candidates.scores.shape[1]):
        for said in (0, 1):
            rows = np.flatnonzero((candidates.given[:, k] == said) & (candidates.rules[:, k] != said))
            surest = np.argsort(np.abs(candidates.scores[rows, k] - (1 - said)) * -1, kind="stable")
            rankings.append(rows[surest].tolist())
    return _in_turn(rankings)


def _diverse(candidates: Candidates, pool: np.ndarray, group: Mapping[int, int], taken: set[int], count: int, seed: int) -> list[int]:
    """Spread over the subjects among the quarter of the pool in which the model sees most: most of a crawl holds nothing to label."""
    if count == 0:
        return []
    free = list({group[i]: i for i in reversed(pool.tolist()) if group[i] not in taken}.values())
    sees = (candidates.scores[free] / candidates.thresholds).max(axis=1) if free else np.zeros(0)
    rows = [free[k] for k in np.argsort(-sees, kind="stable")[: max(len(free) // 4, count)]]
    if len(rows) <= count:
        return rows
    vectors = TfidfVectorizer(sublinear_tf=True).fit_transform([model_text(candidates.sentences[i]) for i in rows])
    # Each next one is drawn by its squared distance to those chosen (Arthur and Vassilvitskii 2007).
    _, picked = kmeans_plusplus(vectors, count, random_state=seed)
    return [rows[k] for k in picked]


def _logit(p: np.ndarray) -> np.ndarray:
    clipped = np.clip(p, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _in_turn(rankings: list[list[int]]) -> Iterator[int]:
    """Yield the first of each ranking, then the second of each, and so on; each index once.

    >>> list(_in_turn([[1, 2, 3], [1, 4]]))
    [1, 2, 4, 3]
    """
    seen: set[int] = set()
    for i in chain.from_iterable(zip_longest(*rankings)):
        if i is not None and i not in seen:
            seen.add(i)
            yield i


def _first(ranking: Iterable[int], count: int) -> Iterator[int]:
    return (i for _, i in zip(range(count), ranking, strict=False))
