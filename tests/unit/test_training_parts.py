from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support

from netral.config import DecisionSettings, TrainSettings
from training.data.near_duplicates import closest_across, group_articles
from training.data.partition import SPLITS, partition
from training.evaluation.baselines import TfidfBaseline, rule_baseline
from training.evaluation.metrics import ArticleBootstrap, average_precision_of, scores_of
from training.fitting.decision import best_threshold, choose_decision, platt, sentence_weights

LABELS = ["a", "b", "c"]


def matrix(seed, rows=60, share=0.3):
    return (np.random.default_rng(seed).random((rows, len(LABELS))) < share).astype(int)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_agree_with_scikit_learn(seed):
    truth, given = matrix(seed), matrix(seed + 100)
    found = scores_of(given, truth, LABELS)
    precision, recall, f1, support = precision_recall_fscore_support(truth, given, zero_division=0)
    for k, label in enumerate(LABELS):
        each = found["labels"][label]
        assert each["precision"] == pytest.approx(precision[k])
        assert each["recall"] == pytest.approx(recall[k])
        assert each["f1"] == pytest.approx(f1[k])
        assert each["support"] == support[k]
    assert found["micro_f1"] == pytest.approx(f1_score(truth, given, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, given, average="macro"))
    assert found["exact_match"] == pytest.approx((truth == given).all(1).mean())
    scores = np.random.default_rng(seed).random(truth.shape)
    expected = [average_precision_score(truth[:, k], scores[:, k]) for k in range(3)]
    assert average_precision_of(scores, truth, LABELS)["macro_average_precision"] == pytest.approx(np.mean(expected))


def test_a_label_without_positives_counts_as_zero_and_does_not_break():
    truth = np.array([[1, 0, 0], [0, 0, 0]])
    assert scores_of(truth, truth, LABELS)["labels"]["b"]["f1"] == 0
    assert average_precision_of(truth * 0.5, truth, LABELS)["labels"]["b"] is None


def test_bootstrap_resamples_articles_by_hand():
    """Two articles, one all right and one all wrong: macro-F1 of a resample is 1, 2/3 or 0, with chances 1/4, 1/2, 1/4."""
    truth = np.array([[1], [1], [1], [1]])
    given = np.array([[1], [1], [0], [0]])
    boot = ArticleBootstrap(["x", "x", "y", "y"], 4000, 0.95, 1)
    values, counts = np.unique(boot.f1(given, truth)[:, 0].round(6), return_counts=True)
    assert values.tolist() == [0, round(2 / 3, 6), 1]
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    assert boot.interval(boot.f1(given, truth)[:, 0]) == [0, 1]


def test_bootstrap_of_everything_is_the_figure_itself():
    truth, given = matrix(1), matrix(2)
    boot = ArticleBootstrap(["only one article"] * len(truth), 10, 0.95, 1)
    assert boot.f1(given, truth)[0] == pytest.approx(f1_score(truth, given, average=None))
    assert boot.micro_f1(given, truth)[0] == pytest.approx(f1_score(truth, given, average="micro"))
    assert boot.mean(truth[:, 0].astype(float))[0] == pytest.approx(truth[:, 0].mean())


def test_interval_of_the_article_bootstrap_covers():
    """With articles as the unit, a 90 % interval of a mean holds the true value about nine times in ten."""
    rng, hits = np.random.default_rng(0), 0
    articles = [str(i) for i in range(40) for _ in range(5)]
    for trial in range(200):
        values = np.repeat(rng.random(40) < 0.5, 5).astype(float)
        boot = ArticleBootstrap(articles, 300, 0.9, trial)
        low, high = boot.interval(boot.mean(values))
        hits += low <= 0.5 <= high
    assert 0.82 <= hits / 200 <= 0.96


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.lists(st.sampled_from(LABELS), max_size=2, unique=True)), min_size=1, max_size=80),
    st.integers(0, 3),
)
def test_partition_places_whole_groups_and_is_repeatable(rows, seed):
    groups, labels = [g for g, _ in rows], [names for _, names in rows]
    fractions = {"train": 0.6, "validation": 0.15, "test": 0.25}
    placed = partition(groups, labels, fractions, seed)
    assert set(placed) == set(groups)
    assert set(placed.values()) <= set(SPLITS)
    assert placed == partition(groups, labels, fractions, seed)


def test_partition_keeps_the_shares_of_every_label():
    rng = np.random.default_rng(0)
    groups = [g for g in range(100) for _ in range(10)]
    labels = [[name for name in LABELS if rng.random() < 0.1] for _ in groups]
    fractions = {"train": 0.6, "validation": 0.15, "test": 0.25}
    placed = partition(groups, labels, fractions, 13)
    for name in (*LABELS, None):
        rows = [i for i, names in enumerate(labels) if (name in names if name else not names)]
        for split, share in fractions.items():
            found = sum(placed[groups[i]] == split for i in rows) / len(rows)
            assert found == pytest.approx(share, abs=0.05)


def test_groups_that_are_kept_stay_and_the_others_fill_up():
    """Twenty equal groups: with the first six in test, none of the others goes there, and the shares come out as they would have."""
    groups, labels = list(range(20)), [["a"]] * 20
    kept = dict.fromkeys(range(6), "test")
    placed = partition(groups, labels, {"train": 0.5, "validation": 0.2, "test": 0.3}, 13, {**kept, 99: "train"})
    assert {group: placed[group] for group in kept} == kept
    assert Counter(placed.values()) == {"train": 10, "validation": 4, "test": 6}
    assert set(placed) == set(groups)


def test_the_seed_reaches_the_partition():
    groups, labels = list(range(60)), [["a"]] * 60
    fractions = {"train": 0.5, "validation": 0.0, "test": 0.5}
    found = [partition(groups, labels, fractions, seed) for seed in (1, 2)]
    assert found[0] != found[1]
    assert "validation" not in found[0].values()


LONG = "Bupati meminta seluruh aparatur sipil negara menjaga netralitas selama tahapan pilkada berlangsung di daerah itu"


def test_articles_that_share_a_long_sentence_are_one_group_through_others_too():
    sentences = [LONG + ".", "Beda sekali isinya.", LONG.replace("daerah", "daerahnya") + ".", "Hujan turun.", LONG.upper(), "Hujan turun."]
    groups = group_articles(sentences, ["x", "x", "y", "z", "w", "v"], 0.6)
    assert groups[0] == groups[1] == groups[2] == groups[4]
    assert len({groups[0], groups[3], groups[5]}) == 3  # a short sentence in common links nothing


def test_the_audit_finds_the_nearest_training_sentence():
    sentences = [LONG, "Harga cabai merah naik di pasar induk.", LONG.replace("Bupati", "Wali kota")]
    (best, *_) = closest_across(sentences, ["train", "train", "test"])
    assert best[1:] == (2, 0)
    assert 0.7 < best[0] < 1
    assert closest_across(sentences, ["test"] * 3) == []
    # Validation and test are held apart too: thresholds are chosen on one and judged on the other.
    assert closest_across(sentences, ["validation", "train", "test"])[0][1:] == (0, 2)


def test_platt_recovers_known_slope_and_offset():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, 4000)
    truth = (rng.random(4000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(int)
    found = platt(logits, truth)
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.offset == pytest.approx(-1, abs=0.1)


def test_platt_without_both_classes_changes_nothing():
    assert platt(np.array([1.0, 2.0]), np.array([0, 0])).model_dump() == {"slope": 1.0, "offset": 0.0}


def test_threshold_separates_and_falls_back():
    scores = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    truth = np.array([0, 0, 0, 1, 1, 1])
    articles = list("abcdef")
    assert 0.3 < best_threshold(scores, truth, np.ones(6), articles, 100, 0) <= 0.7
    assert best_threshold(scores, truth * 0, np.ones(6), articles, 100, 0) == 0.5


def test_a_rarer_label_gets_a_higher_threshold():
    rng = np.random.default_rng(0)
    truth = np.repeat([1, 0], 300)
    scores = np.clip(rng.normal(np.where(truth, 0.65, 0.35), 0.15), 0, 1)
    articles = [str(i) for i in range(600)]
    found = [best_threshold(scores, truth, sentence_weights(truth[:, None], share), articles, 100, 0) for share in (None, 0.5, 0.8, 0.95)]
    assert found[0] == found[1] < found[2] < found[3]
    assert sentence_weights(truth[:, None], 0.8)[truth == 0].sum() == pytest.approx(4 * 300)


def test_decision_is_complete():
    rng = np.random.default_rng(0)
    truth = matrix(3, rows=200)
    logits = (truth * 4 - 2 + rng.normal(0, 1, truth.shape)).astype(np.float32)
    found = choose_decision(logits, truth, [str(i // 5) for i in range(200)], LABELS, DecisionSettings(), 13)
    assert found.labels == LABELS
    assert found.chosen_on["positives"] == dict(zip(LABELS, truth.sum(0).tolist(), strict=True))


def test_rules_know_the_easy_cases():
    labels = ("warning", "sanction_threat", "permission", "regulation_reference", "other")
    given_ = rule_baseline(
        [
            "Bupati mengingatkan ASN agar netral.",
            "ASN yang melanggar akan diberi sanksi berat.",
            "ASN boleh menghadiri kampanye.",
            "Hal itu diatur UU Nomor 5 Tahun 2014.",
            "Hujan turun di Bogor.",
        ],
        labels,
    )
    assert [[label for k, label in enumerate(labels) if row[k]] for row in given_] == [
        ["warning"],
        ["sanction_threat"],
        ["permission"],
        ["regulation_reference"],
        [],
    ]


def test_tfidf_learns():
    sentences = ["ASN harus netral", "harga cabai naik", "ASN wajib netral", "cabai turun harga"] * 10
    truth = np.array([[1], [0], [1], [0]] * 10)
    model = TfidfBaseline(["w"], 13).fit(sentences, truth, sentences, truth, [str(i) for i in range(40)], DecisionSettings())
    assert (model.predict(["ASN netral", "harga naik"]) == [[1], [0]]).all()


def test_positive_weights_and_layer_rates():
    from training.fitting.fit import parameter_groups, positive_weights

    truth = np.array([[1, 0], [0, 0], [0, 0], [0, 0], [0, 1]])
    assert positive_weights(truth, TrainSettings(pos_weight="none")).tolist() == [1, 1]
    assert positive_weights(truth, TrainSettings(pos_weight="balanced")).tolist() == [4, 4]
    assert positive_weights(truth, TrainSettings(pos_weight="sqrt")).tolist() == [2, 2]
    assert positive_weights(truth, TrainSettings(pos_weight="balanced", max_pos_weight=3)).tolist() == [3, 3]

    from transformers import BertConfig, BertForSequenceClassification

    shape = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8)
    model = BertForSequenceClassification(shape)
    groups = parameter_groups(model, TrainSettings(learning_rate=1e-4, layer_decay=0.5, head_learning_rate=1e-3))
    rates = sorted({round(group["lr"], 9) for group in groups})
    assert rates == [1.25e-5, 2.5e-5, 5e-5, 1e-4, 1e-3]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert all(p.ndim >= 2 for group in groups if group["weight_decay"] for p in group["params"])
