from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.annotation import select
from training.annotation.select import Candidates, choose, contradictions, quotas, uncertain

SHARES = {"random": 0.3, "uncertainty": 0.3, "disagreement": 0.2, "diversity": 0.2}
WHO = ["Camat", "Lurah", "Bupati", "Sekda", "Kapolres", "Danramil", "Kepala dinas", "Rektor", "Wali kota", "Penghulu"]
DOES = ["membuka pasar", "meninjau jembatan", "memanggil staf", "menanam mangrove", "menegur bawahan", "menutup lomba", "meresmikan masjid"]


def candidates(size=200, seed=0):
    """Sentences of which each stands in the crawl once to four times, now and then with a word changed."""
    rng = np.random.default_rng(seed)
    sentences = []
    while len(sentences) < size:
        k = len(sentences)
        text = f"{rng.choice(WHO)} {rng.choice(DOES)} {' '.join(f'kata{x}' for x in rng.integers(0, 5000, 8))} pada hari itu juga."
        sentences += [text if j < 2 else text.replace("hari", f"malam {k}") for j in range(rng.integers(1, 5))]
    sentences = sentences[:size]
    scores = np.round(rng.beta(0.5, 2, size=(size, 2)), 3)
    given = (scores >= [0.4, 0.6]).astype(int)
    rules = (rng.random((size, 2)) < 0.2).astype(int)
    return Candidates(sentences, scores, given, rules, np.array([0.4, 0.6]))


@given(st.integers(0, 500), st.lists(st.floats(0.01, 1), min_size=1, max_size=5))
def test_quotas_lose_nothing_and_are_off_by_less_than_one(n, parts):
    shares = {str(i): part for i, part in enumerate(parts)}
    found = quotas(n, shares)
    assert sum(found.values()) == n
    assert all(abs(found[name] - n * share / sum(parts)) < 1 for name, share in shares.items())


@pytest.mark.parametrize("seed", range(4))
def test_no_two_of_one_near_duplicate_group_and_none_like_those_excluded(seed):
    rows = candidates(seed=seed)
    excluded = [rows.sentences[0], rows.sentences[50] + " Begitu."]
    chosen = choose(rows, 40, SHARES, 0.6, seed, excluded)
    assert Counter(c.strategy for c in chosen) == {"random": 12, "uncertainty": 12, "disagreement": 8, "diversity": 8}
    assert [c.index for c in chosen] == sorted({c.index for c in chosen})
    group, taken = select._groups(rows.sentences, list(range(200)), excluded, 0.6)
    found = [group[c.index] for c in chosen]
    assert len(set(found)) == 40
    assert not taken & set(found)
    assert all((c.inclusion_probability is None) == (c.strategy != "random") for c in chosen)
    assert chosen == choose(rows, 40, SHARES, 0.6, seed, excluded)


def test_short_copies_count_as_duplicates_too():
    rows = candidates(40)
    rows = Candidates(["Begitu katanya."] * 20 + ["BEGITU KATANYA."] * 20, rows.scores, rows.given, rows.rules, rows.thresholds)
    assert len(choose(rows, 10, SHARES, 0.6, 1)) == 1


@pytest.mark.parametrize("pool", [10_000, 120])
def test_the_random_share_gives_an_unbiased_estimate(monkeypatch, pool):
    """Horvitz and Thompson's estimate of how many sentences have a property is right on average, also beside other strategies."""
    monkeypatch.setattr(select, "POOL", pool)
    rows = candidates()
    # A property that goes with the model's score: the other strategies see it, the random share must not.
    holds = rows.scores[:, 0] > 0.3
    estimates, sizes = [], []
    for seed in range(150):
        drawn = [c for c in choose(rows, 60, {"random": 0.5, "uncertainty": 0.5}, 0.6, seed) if c.strategy == "random"]
        estimates.append(sum(holds[c.index] / c.inclusion_probability for c in drawn))
        sizes.append(sum(1 / c.inclusion_probability for c in drawn))
    for found, truth in ((estimates, holds.sum()), (sizes, len(holds))):
        error = np.std(found) / np.sqrt(len(found))
        assert abs(np.mean(found) - truth) < 3.5 * error
        assert error < 0.05 * truth


def test_the_uncertain_are_nearest_a_threshold_of_each_label_in_turn():
    scores = np.array([[0.39, 0.01], [0.9, 0.61], [0.35, 0.3], [0.01, 0.9]])
    rows = Candidates(["a"] * 4, scores, scores > 1, scores > 1, np.array([0.4, 0.6]))
    assert list(uncertain(rows)) == [0, 1, 2, 3]


def test_contradictions_are_the_surest_of_each_kind_in_turn():
    scores = np.array([[0.1], [0.01], [0.9], [0.99], [0.5]])
    given, rules = np.array([[0], [0], [1], [1], [1]]), np.array([[1], [1], [0], [0], [1]])
    assert list(contradictions(Candidates(["a"] * 5, scores, given, rules, np.array([0.4])))) == [1, 3, 0, 2]


def test_a_strategy_that_finds_too_little_leaves_its_part_to_the_next():
    rows = candidates()
    rows = Candidates(rows.sentences, rows.scores, rows.given, rows.given, rows.thresholds)  # rules and model agree throughout
    found = Counter(c.strategy for c in choose(rows, 40, SHARES, 0.6, 0))
    assert found == {"random": 12, "uncertainty": 12, "diversity": 16}


def test_fewer_sentences_than_asked_for_are_all_chosen():
    rows = candidates(12)
    group, _ = select._groups(rows.sentences, list(range(12)), [], 0.6)
    assert len(choose(rows, 100, SHARES, 0.6, 0)) == len(set(group.values()))


def test_nothing_to_choose_from():
    empty = Candidates([], np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2)), np.array([0.5, 0.5]))
    assert choose(empty, 5, SHARES, 0.6, 0, ["Kata dia."]) == []
