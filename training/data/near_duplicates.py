"""Groups articles that share text, so that no near-copy of a test sentence is trained on.

Exact rather than hashed: labelled sets have thousands of sentences, not millions, and an audit must not miss one.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer

from netral.text import model_text

# Characters rather than words: typos, names and numbers swapped leave most of them alike.
_SHINGLE = 5
# A short sentence ("Demikian dikatakan.") may stand in any two articles without either being a copy.
LINKING_CHARS = 40
_BLOCK = 512


def _shingles(sentences: Sequence[str]) -> csr_matrix:
    vectorizer = CountVectorizer(analyzer="char_wb", ngram_range=(_SHINGLE, _SHINGLE), binary=True, dtype=np.int32)
    return vectorizer.fit_transform([model_text(s).lower() for s in sentences])


def _jaccard(block: csr_matrix, others: csr_matrix, block_sizes: np.ndarray, other_sizes: np.ndarray) -> np.ndarray:
    shared = (block @ others.T).toarray()
    return np.asarray(shared / np.maximum(block_sizes[:, None] + other_sizes[None, :] - shared, 1))


def group_articles(sentences: Sequence[str], articles: Sequence[str], threshold: float) -> list[int]:
    """Return a group number for each sentence; articles with a near-duplicate sentence in common share a group.

    Args:
        sentences: The sentences.
        articles: The article id of each sentence; an article is never cut apart.
        threshold: Jaccard similarity of character 5-grams from which two sentences of at least 40 characters are near-duplicates.

    Returns:
        Group numbers in the order in which the groups first occur.
    """
    ids = {article: i for i, article in enumerate(dict.fromkeys(articles))}
    owner = np.array([ids[article] for article in articles])
    rows: list[np.ndarray] = []
    cols: list[np.ndarray] = []
    if sentences:
        matrix = _shingles(sentences)
        sizes = np.asarray(matrix.sum(axis=1)).ravel()
        links = np.array([len(s) >= LINKING_CHARS for s in sentences])
        for begin in range(0, len(sentences), _BLOCK):
            end = min(begin + _BLOCK, len(sentences))
            near = _jaccard(matrix[begin:end], matrix, sizes[begin:end], sizes) >= threshold
            near &= links[begin:end, None] & links[None, :]
            i, j = np.nonzero(near)
            rows.append(owner[i + begin])
            cols.append(owner[j])
    graph = csr_matrix(
        (np.ones(sum(map(len, rows)), dtype=np.int32), (np.concatenate(rows).astype(int), np.concatenate(cols).astype(int))),
        shape=(len(ids), len(ids)),
    )
    _, component = connected_components(graph, directed=False)
    first = {c: i for i, c in enumerate(dict.fromkeys(component.tolist()))}
    return [first[component[o]] for o in owner]


def closest_across(sentences: Sequence[str], splits: Sequence[str]) -> list[tuple[float, int, int]]:
    """Return for each sentence outside `train` its nearest sentence of any other split.

    Returns:
        (Jaccard similarity, index of the sentence, index of the nearest one), highest first.
    """
    if not sentences:
        return []
    matrix = _shingles(sentences)
    sizes = np.asarray(matrix.sum(axis=1)).ravel()
    names = np.array(splits)
    held_out = np.flatnonzero(names != "train")
    found = []
    for begin in range(0, len(held_out), _BLOCK):
        block = held_out[begin : begin + _BLOCK]
        similarity = _jaccard(matrix[block], matrix, sizes[block], sizes)
        similarity[names[block][:, None] == names[None, :]] = -1
        best = similarity.argmax(axis=1)
        found += [(float(similarity[k, b]), int(block[k]), int(b)) for k, b in enumerate(best) if similarity[k, b] >= 0]
    return sorted(found, key=lambda item: (-item[0], item[1]))
