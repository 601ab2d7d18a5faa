import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from inference.deciding import make_decider
from netral.config import DecisionSettings, TrainSettings, load_config
from netral.errors import NetralError
from netral.model_folder import Decision
from training.data.choices import choice_figures, choice_loss, choose_temperatures, class_weights, likeliest, temperature

CHOICES = {"rasa": ["rasa:baik", "rasa:buruk", "rasa:netral"], "harga": ["harga:baik", "harga:buruk"]}
LABELS = [name for choice in CHOICES.values() for name in choice]


def logits(seed, rows=300):
    return np.random.default_rng(seed).normal(0, 2, (rows, len(LABELS)))


def one_hot(seed, rows=300):
    return likeliest(logits(seed, rows), CHOICES)


def softmax(values):
    each = np.exp(values - values.max(axis=1, keepdims=True))
    return each / each.sum(axis=1, keepdims=True)


def decider(slopes=(1.0, 1.0)):
    calibration = {name: {"slope": slope} for choice, slope in zip(CHOICES.values(), slopes, strict=True) for name in choice}
    return make_decider(Decision(labels=LABELS, choices=CHOICES, calibration=calibration, thresholds={}))


def test_scores_are_the_softmax_of_each_choice():
    z = logits(0)
    found = decider((0.5, 2.0)).scores(z)
    assert found == pytest.approx(np.hstack([softmax(z[:, :3] * 0.5), softmax(z[:, 3:] * 2)]), abs=5.1e-4)
    assert decider().scores(np.array([[800.0, -800, 0, 0, 0]])).tolist() == [[1, 0, 0, 0.5, 0.5]]


def test_one_label_of_each_choice_is_given_and_of_equal_scores_the_first():
    scores = np.array([[0.2, 0.4, 0.4, 0.1, 0.9], [0.5, 0.2, 0.3, 0.5, 0.5]])
    assert decider().given(scores).astype(int).tolist() == [[0, 1, 0, 0, 1], [1, 0, 0, 1, 0]]
    assert decider().given(scores[0]).tolist() == [False, True, False, False, True]


def test_bounds_hold_what_noise_on_every_logit_can_do():
    rng, z, noise = np.random.default_rng(1), logits(2), 0.01
    low, high = decider((1.5, 0.7)).bounds(z, noise)
    for _ in range(20):
        moved = decider((1.5, 0.7)).scores(z + rng.choice([-noise, noise], z.shape))
        assert (low <= moved).all()
        assert (moved <= high).all()
    assert (high - low).max() < 0.05


def test_margins_say_how_far_the_decision_is():
    z = logits(3)
    margins, given = decider().margins(z), decider().given(decider().scores(z))
    clear = np.abs(margins).min(axis=1) > 0.01  # rounded scores of a closer call may be equal
    assert (given == (margins >= 0))[clear].all()
    assert margins[:, 3] == pytest.approx(z[:, 3] - z[:, 4])


def test_loss_is_the_mean_cross_entropy_of_the_choices():
    z, truth = torch.tensor(logits(4)), torch.tensor(one_hot(5), dtype=torch.float64)
    expected = [-np.log((softmax(z[:, c].numpy()) * truth[:, c].numpy()).sum(1)).mean() for c in (slice(0, 3), slice(3, 5))]
    assert float(
        choice_loss(z, truth, CHOICES, torch.ones(5, dtype=torch.float64), torch.ones(len(z), dtype=torch.float64))
    ) == pytest.approx(np.mean(expected))


def test_rare_values_weigh_more():
    truth = likeliest(np.array([[9, 0, 0, 9, 0]] * 6 + [[0, 9, 0, 0, 9]] * 3 + [[0, 0, 9, 9, 0]] * 3), CHOICES)
    assert class_weights(truth, CHOICES, TrainSettings(pos_weight="none")).tolist() == [1] * 5
    assert class_weights(truth, CHOICES, TrainSettings(pos_weight="balanced")).tolist() == pytest.approx([2 / 3, 4 / 3, 4 / 3, 2 / 3, 2])
    assert class_weights(truth, CHOICES, TrainSettings(pos_weight="sqrt")).tolist()[4] == pytest.approx(2**0.5)
    assert class_weights(truth, CHOICES, TrainSettings(pos_weight="balanced", max_pos_weight=1.5)).tolist()[4] == 1.5


def test_macro_f1_counts_a_value_over_all_aspects():
    given, truth = one_hot(6), one_hot(7)
    values = np.array([name.split(":")[1] for name in LABELS])
    flat = [[str(values[k]) for row in matrix for k in np.flatnonzero(row)] for matrix in (truth, given)]
    found = choice_figures(given, truth, LABELS, CHOICES)
    assert found["macro_f1"] == pytest.approx(f1_score(*flat, average="macro"))
    assert found["accuracy"] == pytest.approx(np.mean(np.array(flat[0]) == np.array(flat[1])))


def test_a_value_that_neither_occurs_nor_is_given_does_not_count():
    truth = likeliest(np.array([[9, 0, 0, 9, 0], [0, 9, 0, 9, 0]]), CHOICES)
    assert choice_figures(truth, truth, LABELS, CHOICES) == {"macro_f1": 1.0, "accuracy": 1.0}


def test_temperature_recovers_what_logits_were_stretched_by():
    rng, true = np.random.default_rng(8), np.random.default_rng(9).normal(0, 1.5, (4000, 3))
    drawn = (softmax(true).cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    assert temperature(true * 3, np.eye(3)[drawn]) == pytest.approx(3, rel=0.08)


def test_the_decision_of_a_single_label_model():
    found = choose_temperatures(logits(10), one_hot(11), [str(i) for i in range(300)], CHOICES, DecisionSettings())
    assert found.thresholds == {}
    assert found.problem_type == "multi_label_classification"  # of two aspects two labels hold
    assert found.calibration["rasa:baik"] == found.calibration["rasa:netral"] != found.calibration["harga:baik"]
    plain = choose_temperatures(logits(10), one_hot(11), ["x"] * 300, CHOICES, DecisionSettings(calibration="none"))
    assert {each.slope for each in plain.calibration.values()} == {1.0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"choices": {"": LABELS[:4]}},
        {"choices": {"": LABELS}, "thresholds": dict.fromkeys(LABELS, 0.5)},
        {"choices": {"": LABELS[::-1]}},
    ],
)
def test_a_decision_that_does_not_fit_is_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        Decision(**{"labels": LABELS, "calibration": {name: {} for name in LABELS}, "thresholds": {}, **wrong})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["labels={a: [x, y]}"], "needs task: single_label"),
        (["labels=[a]", "task=single_label"], "at least two"),
        (["labels={a: [x, y], b: [z]}", "task=single_label"], "at least two"),
        (["read.header=[sentence, sentence]"], "columns must differ"),
    ],
)
def test_a_label_set_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(NetralError, match=message):
        load_config(None, settings)


def test_a_recipe_s_label_set_replaces_that_of_the_file_it_extends(tmp_path):
    (tmp_path / "a.yaml").write_text("task: single_label\nlabels: {a: [x, y]}\nsearch:\n  space: {train.epochs: [1, 2]}\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\nlabels: {b: [x, y]}\nsearch:\n  space: {train.seed: [1, 2]}\n")
    config = load_config(tmp_path / "b.yaml")
    assert config.label_names == ["b:x", "b:y"]
    assert list(config.search.space) == ["train.seed"]
