"""Parts of pre-training, distillation, losses, folds and calibration that need no trained model."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from netral.config import PretrainSettings, load_config
from netral.errors import NetralError
from training.evaluation.metrics import ArticleBootstrap, calibration_of
from training.fitting.distill import choose, draw, joined
from training.fitting.fit import multilabel_loss
from training.fitting.folds import assign_folds
from training.fitting.pretrain import MaskedSequences, choose_tokens, masked_loss
from training.fitting.sequences import FIRST_PIECE, FURTHER_PIECE, SPECIAL, Packer, Sequences

BEGIN, END = 1, 2


def pack(articles, length):
    ids, kinds = io.BytesIO(), io.BytesIO()
    packer = Packer(ids, kinds, length, BEGIN, END)
    for article in articles:
        for sentence in article:
            packer.add(sentence, [True] * len(sentence))
        packer.end_article()
    shape = (-1, length)
    return np.frombuffer(ids.getvalue(), np.int32).reshape(shape), np.frombuffer(kinds.getvalue(), np.uint8).reshape(shape)


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(1, 14), max_size=6), max_size=8), st.integers(6, 12))
def test_packing_loses_only_the_ends_of_too_long_sentences_and_of_the_input(lengths, length):
    numbers = iter(range(10, 100_000))
    articles = [[[next(numbers) for _ in range(n)] for n in article] for article in lengths]
    ids, kinds = pack(articles, length)
    sentences = {sentence[0]: sentence for article in articles for sentence in article}
    assert ((ids == BEGIN) | (ids == END)).tolist() == (kinds == SPECIAL).tolist()
    for row in ids.tolist():
        assert row[0] == BEGIN
        assert row[-1] == END
        assert row[1] in sentences  # a sequence starts with a whole sentence
    packed = set(ids.ravel().tolist())
    last = max(packed, default=0)
    wanted = {token for sentence in sentences.values() for token in sentence[: length - 2] if token <= last}
    assert wanted <= packed
    assert not (ids[:, 1:] == BEGIN).any()


def test_packing_separates_articles():
    ids, _ = pack([[[11, 12]], [], [[21, 22, 23]]], 8)
    assert ids.tolist() == [[BEGIN, 11, 12, END, 21, 22, 23, END]]


def test_whole_words_are_chosen_whole_and_near_the_share():
    kinds = np.array([SPECIAL] + [FIRST_PIECE, FURTHER_PIECE, FURTHER_PIECE] * 10 + [FIRST_PIECE] * 20 + [SPECIAL], dtype=np.uint8)
    counts = []
    for seed in range(200):
        chosen = choose_tokens(kinds, 0.15, True, np.random.default_rng(seed))
        assert not chosen[0]
        assert not chosen[-1]
        long = chosen[1:31].reshape(10, 3)
        assert (long.all(1) | ~long.any(1)).all()
        counts.append(int(chosen.sum()))
    assert max(counts) == 8
    assert np.mean(counts) == pytest.approx(8, abs=0.1)
    each = choose_tokens(kinds, 0.15, False, np.random.default_rng(1))
    assert each.sum() == 8
    assert choose_tokens(np.array([SPECIAL, FIRST_PIECE, SPECIAL]), 0.15, True, np.random.default_rng(0)).sum() == 1
    assert not choose_tokens(np.array([SPECIAL, SPECIAL]), 0.15, True, np.random.default_rng(0)).any()


class Vocabulary:
    mask_token_id = 4

    def __len__(self):
        return 50


def masked(shuffled=True, items=60, seed=13):
    ids = np.arange(20 * 42, dtype=np.int32).reshape(20, 42) % 40 + 10
    kinds = np.full((20, 42), FIRST_PIECE, dtype=np.uint8)
    kinds[:, [0, -1]] = SPECIAL
    return MaskedSequences(Sequences(ids, kinds), Vocabulary(), PretrainSettings(seed=seed), items, shuffled), ids


def test_masks_depend_on_the_item_alone():
    first, ids = masked()
    again, _ = masked()
    late = again[45]  # without having seen the items before it
    assert (first[45]["input_ids"] == late["input_ids"]).all()
    assert (first[45]["labels"] == late["labels"]).all()
    assert (first[0]["labels"] != first[20]["labels"]).any()  # another round, another mask
    rows = [np.flatnonzero((ids == np.where(item["labels"] < 0, item["input_ids"], item["labels"])).all(1))[0] for item in first]
    assert sorted(rows[:20]) == sorted(rows[20:40]) == list(range(20))
    assert rows[:20] != rows[20:40]
    assert (masked(seed=1)[0][0]["labels"] != first[0]["labels"]).any()


def test_most_chosen_tokens_are_masked_some_swapped_some_left():
    data, _ = masked(items=2000)
    items = [data[i] for i in range(2000)]
    asked = np.concatenate([item["labels"] for item in items])
    shown = np.concatenate([item["input_ids"] for item in items])
    chosen = asked >= 0
    assert chosen.mean() == pytest.approx(6 / 42, abs=0.002)
    assert (shown[chosen] == 4).mean() == pytest.approx(0.8, abs=0.02)
    assert (shown[chosen] == asked[chosen]).mean() == pytest.approx(0.1, abs=0.02)


def test_held_out_masks_are_fixed_and_spread():
    data, ids = masked(shuffled=False, items=4)
    found = [np.where(item["labels"] < 0, item["input_ids"], item["labels"]) for item in data]
    assert [int(np.flatnonzero((ids == row).all(1))[0]) for row in found] == [0, 5, 10, 15]


@pytest.mark.parametrize("kind", ["bert", "albert", "roberta"])
def test_the_head_at_the_masked_positions_gives_the_loss_of_the_whole_model(kind):
    from transformers import AutoConfig, AutoModelForMaskedLM

    torch.manual_seed(0)
    shape = AutoConfig.for_model(
        kind, vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, max_position_embeddings=64
    )
    model = AutoModelForMaskedLM.from_config(shape).eval()
    ids, labels = torch.randint(5, 50, (3, 20)), torch.full((3, 20), -100)
    labels[0, 3:6], labels[2, 9] = 7, 8
    expected = model(input_ids=ids, labels=labels).loss
    torch.testing.assert_close(masked_loss(model, ids, labels), expected)
    # A second head beside the first: no shortcut, the same loss.
    model.other_head = torch.nn.Linear(2, 2)
    torch.testing.assert_close(masked_loss(model, ids, labels), expected)


def test_the_plain_loss_is_that_of_torch():
    torch.manual_seed(0)
    logits, hard, weight = torch.randn(6, 4) * 5, (torch.rand(6, 4) < 0.4).float(), torch.tensor([1.0, 2, 3, 4])
    ones = torch.ones(6)
    expected = binary_cross_entropy_with_logits(logits, hard, pos_weight=weight)
    torch.testing.assert_close(multilabel_loss(logits, hard, ones, weight), expected)
    soft = torch.rand(6, 4)
    expected = binary_cross_entropy_with_logits(logits, soft, pos_weight=weight)
    torch.testing.assert_close(multilabel_loss(logits, soft, ones, weight), expected)
    half = multilabel_loss(logits, hard, torch.tensor([0.5, 0, 0, 0, 0, 0]), weight)
    torch.testing.assert_close(half, 0.5 * multilabel_loss(logits[:1], hard[:1], ones[:1], weight) / 6)


def test_the_loss_stays_finite_where_the_model_is_very_sure():
    logits = torch.tensor([[200.0, -200.0, 200.0, -200.0]], requires_grad=True)
    multilabel_loss(logits, torch.tensor([[1.0, 0, 0, 1]]), torch.ones(1), torch.ones(4)).backward()
    assert torch.isfinite(logits.grad).all()


class Rows:
    def __init__(self, groups, truth):
        self.groups, self.truth = groups, truth


def test_folds_keep_groups_whole_and_labels_even():
    rng = np.random.default_rng(0)
    groups = [group for group in range(80) for _ in range(8)]
    truth = (rng.random((len(groups), 2)) < (0.3, 0.05)).astype(int)
    folds = np.array(assign_folds(Rows(groups, truth), ["a", "b"], 5, 13))
    assert all(len(set(folds[np.array(groups) == group])) == 1 for group in range(80))
    for k in range(2):
        shares = [truth[folds == fold, k].sum() / truth[:, k].sum() for fold in range(5)]
        assert shares == pytest.approx([0.2] * 5, abs=0.08)


def test_one_fold_is_refused():
    with pytest.raises(NetralError, match="at least 2"):
        load_config(None, ["decision.folds=1"])
    with pytest.raises(NetralError, match="fewer than steps"):
        load_config(None, ["pretrain.steps=100"])


def test_a_draw_is_random_bounded_and_does_not_depend_on_the_order():
    crawl = [(f"a:{i}", f"Kalimat nomor {i}.") for i in range(500)]
    found = draw(crawl, 50, 13, set())
    assert found == draw(reversed(crawl), 50, 13, set()) == draw(crawl + crawl, 50, 13, set())
    assert found[:20] == draw(crawl, 20, 13, set())
    assert len({text for _, text in found}) == 50
    numbers = [int(name.partition(":")[2]) for name, _ in found]
    assert 150 < np.mean(numbers) < 350
    assert set(found) != set(draw(crawl, 50, 14, set()))
    assert not {"kalimat nomor 3."} & {text.lower() for _, text in draw(crawl, 500, 13, {"kalimat nomor 3."})}


def test_focus_takes_what_there_is():
    highest = np.array([0.0, 0.9, 0.0, 0.8] + [0.0] * 6)
    assert choose(highest, 6, 0.5, 0.5) == [0, 1, 2, 3, 4, 5]  # two of three wanted, the rest from the start
    assert choose(highest, 3, 0.0, 0.5) == [0, 1, 2]
    assert choose(highest, 50, 0.5, 0.5) == list(range(10))
    assert choose(np.full(10, 0.9), 4, 1.0, 0.5) == [0, 1, 2, 3]


def test_a_single_teacher_is_itself():
    logits = np.random.default_rng(0).normal(0, 3, (1, 5, 4))
    for average in ("probabilities", "logits"):
        assert joined(logits, average) == pytest.approx(1 / (1 + np.exp(-logits[0])))


def test_calibration_error_by_hand_and_of_a_calibrated_score():
    rng = np.random.default_rng(0)
    scores = rng.random((4000, 1))
    truth = (rng.random((4000, 1)) < scores).astype(int)
    articles = [str(i // 10) for i in range(4000)]
    boot = ArticleBootstrap(articles, 200, 0.95, 1)
    right = calibration_of(scores, truth, ["a"], boot)["a"]
    wrong = calibration_of(np.clip(scores + 0.2, 0, 1.2), truth, ["a"], boot)["a"]
    assert right["ece"] < 0.03
    assert right["brier"] == pytest.approx(1 / 6, abs=0.01)
    assert wrong["ece"] == pytest.approx(0.2, abs=0.03)
    assert wrong["ece_interval"][0] < wrong["ece"] < wrong["ece_interval"][1]
    # Two bins of two: |0.1 - 0.5| and |0.8 - 1|, half the sentences each.
    four = calibration_of(
        np.array([[0.1], [0.1], [0.8], [0.8]]), np.array([[0], [1], [1], [1]]), ["a"], ArticleBootstrap("abcd", 10, 0.9, 0), 2
    )
    assert four["a"]["ece"] == pytest.approx(0.3)
    assert four["a"]["brier"] == pytest.approx((0.01 + 0.81 + 0.04 + 0.04) / 4)
