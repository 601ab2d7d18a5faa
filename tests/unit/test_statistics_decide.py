"""Goals, review bands and drift, on scores whose right answers are known."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from scipy.stats import ks_2samp
from support import read_jsonl, write_jsonl

from inference.deciding import in_bands
from netral.config import EvaluateSettings, load_config
from netral.errors import NetralError
from netral.labels import LABELS as GOLD_LABELS
from netral.model_folder import Calibration, Decision, open_model_folder
from training.data.dataset import LabelledSentences
from training.fitting.decision import sentence_weights
from training.fitting.folds import FoldScores, write_scores
from training.statistics.bands import review_bands
from training.statistics.decide import HeldOut, choose_threshold, decide, expected, held_out, promise
from training.statistics.drift import drift, population_stability_index, read_side
from training.statistics.goals import Goal, goals_by_label, parse_goal
from training.statistics.review import review

LABELS = ("a", "b")
SETTINGS = EvaluateSettings(bootstrap_samples=200)


def scored(seed=0, groups=80, share=0.3):
    """Ten sentences a group, one label: positives score about 0.7, negatives 0.3."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(groups * 10) < share).astype(int)
    scores = np.round(np.clip(rng.normal(np.where(truth, 0.7, 0.3), 0.15), 0, 1), 3)
    return scores, truth, [str(i // 10) for i in range(groups * 10)]


# Goals


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("f1", Goal("f1")),
        ("precision=0.95", Goal("precision", 0.95)),
        ("a:recall=0.9", Goal("recall", 0.9, "a")),
        ("review=200/day", Goal("review", 200.0)),
    ],
)
def test_goals_are_read(text, goal):
    assert parse_goal(text, LABELS) == goal


@pytest.mark.parametrize("text", ["f2", "precision", "f1=0.9", "precision=1.2", "precision=0", "review=200", "recall=0.9/day", "c:f1", ""])
def test_other_goals_are_refused(text):
    with pytest.raises(NetralError, match="--goal"):
        parse_goal(text, LABELS)


def test_a_label_s_own_goal_wins_and_two_are_refused():
    goals = [Goal("f1"), Goal("precision", 0.9, "a"), Goal("review", 50)]
    assert goals_by_label(goals, LABELS, review=False) == {"a": goals[1], "b": goals[0]}
    assert goals_by_label(goals, LABELS, review=True) == {"a": goals[2], "b": goals[2]}
    with pytest.raises(NetralError, match="two goals for a"):
        goals_by_label([*goals, Goal("recall", 0.9, "a")], LABELS, review=False)


def test_thresholds_reach_their_goals_and_no_more():
    scores, truth, groups = scored()
    weights = np.ones(len(scores))

    def precision(t):
        return truth[scores >= t].mean()

    def recall(t):
        return (scores[truth == 1] >= t).mean()

    t = choose_threshold(Goal("precision", 0.95), scores, truth, weights, groups, 1)
    assert precision(t) >= 0.95 > precision(t - 0.01)
    t = choose_threshold(Goal("recall", 0.9), scores, truth, weights, groups, 1)
    assert recall(t) >= 0.9 > recall(t + 0.01)
    assert 0.4 < choose_threshold(Goal("f1"), scores, truth, weights, groups, 1) < 0.6
    assert choose_threshold(Goal("f1"), scores, truth * 0, weights, groups, 1) == 0.5
    # Where sentences without the label are more frequent than in the data, precision needs a higher threshold.
    rarer = sentence_weights(truth[:, None], 0.95)
    assert choose_threshold(Goal("precision", 0.9), scores, truth, rarer, groups, 1) > choose_threshold(
        Goal("precision", 0.9), scores, truth, weights, groups, 1
    )


def test_what_is_expected_is_measured_on_sentences_that_did_not_choose():
    """Scores that know nothing: on the sentences themselves some threshold looks precise, on others none is."""
    goal, config, gaps = Goal("precision", 0.6), load_config(None, ["evaluate.bootstrap_samples=20"]), []
    groups = [str(i // 5) for i in range(400)]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth, scores = (rng.random(400) < 0.3).astype(int), np.round(rng.random(400), 3)
        held = HeldOut("validation", ("a",), scores[:, None], truth[:, None], groups, 80)
        threshold = choose_threshold(goal, scores, truth, np.ones(400), groups, 13)
        found = expected(goal, threshold, held, 0, np.ones(400), config)
        gaps.append((truth[scores >= threshold].mean(), found["precision"]))
    seen, measured = np.mean(gaps, axis=0)
    assert seen > 0.45
    assert measured == pytest.approx(0.3, abs=0.08)


def test_promises():
    sure = {"precision": 0.97, "precision_interval": [0.95, 0.99]}
    goal = Goal("precision", 0.95)
    assert promise(goal, sure, 50) == "kept"
    assert promise(goal, sure, 9) == "not promised: 9 positives"
    assert promise(goal, {"precision": 0.96, "precision_interval": [0.9, 0.99]}, 50) == "not promised: may be lower"
    assert promise(goal, {"precision": 0.8, "precision_interval": [0.7, 0.9]}, 50) == "not reached"
    assert promise(None, sure, 50) == "threshold kept"


def test_review_bands_hold_the_budget_and_lie_around_the_thresholds():
    rng = np.random.default_rng(1)
    scores = np.round(rng.random((2000, 2)), 3)
    goals, thresholds = dict.fromkeys(LABELS, Goal("review", 200.0)), {"a": 0.5, "b": 0.9}
    bands, ties = review_bands(goals, thresholds, LABELS, scores, np.ones(2000), 2000)
    assert ties == {}
    seen = in_bands(scores, bands, LABELS).any(axis=1).sum()
    assert 180 <= seen <= 200
    assert all(bands[label][0] < thresholds[label] < bands[label][1] for label in LABELS)
    # The same distance in logits on either side, for both.
    distances = [abs(np.log(p / (1 - p)) - np.log(t / (1 - t))) for label, t in thresholds.items() for p in bands[label]]
    assert distances == pytest.approx([distances[0]] * 4, abs=0.02)
    everything, _ = review_bands(goals, thresholds, LABELS, scores, np.ones(2000), 100)
    assert in_bands(scores, everything, LABELS).any(axis=1).mean() == 1
    own, _ = review_bands({"a": Goal("review", 20.0, "a")}, thresholds, LABELS, scores, np.ones(2000), 2000)
    assert list(own) == ["a"]
    assert in_bands(scores, own, LABELS).any(axis=1).sum() <= 20


def test_equal_scores_that_exceed_the_budget_give_no_band():
    """30 of 100 sentences have exactly the score 0.5 of label a, the others are far off; label b has its budget to itself."""
    scores = np.column_stack([np.where(np.arange(100) < 30, 0.5, 0.1), np.linspace(0, 0.99, 100).round(3)])
    goals = {"a": Goal("review", 299.0, "a"), "b": Goal("review", 50.0, "b")}
    bands, ties = review_bands(goals, {"a": 0.5, "b": 0.5}, LABELS, scores, np.ones(100), 1000)
    assert ties == {"a": pytest.approx(300)}
    assert list(bands) == ["b"]
    bands, ties = review_bands(goals | {"a": Goal("review", 300.0, "a")}, {"a": 0.5, "b": 0.5}, LABELS, scores, np.ones(100), 1000)
    assert (bands["a"], ties) == ((0.5, 0.5), {})
    # Under one goal neither label gets a band: its first sentences would be all of these.
    shared = dict.fromkeys(LABELS, Goal("review", 299.0))
    assert review_bands(shared, {"a": 0.5, "b": 0.995}, LABELS, scores, np.ones(100), 1000) == ({}, {"a": 300.0, "b": 300.0})


def test_out_of_fold_scores_are_those_of_the_encoder_and_the_words(tmp_path, tiny_model):
    model = open_model_folder(tiny_model)
    calibration = {label: Calibration(slope=2.0, offset=-0.5, lexical=0.25) for label in model.labels}
    decision = Decision.model_validate({**model.decision.model_dump(), "calibration": calibration})
    columns = {
        "article_id": ["x"] * 3,
        "sentence_id": ["s0", "s1", "s2"],
        "group": [7] * 3,
        "sentence": ["Satu.", "Dua.", "Tiga."],
        "labels": [[model.labels[0]]] * 3,
    }
    logits, words = np.repeat([[-2.0], [0.0], [2.0]], 4, axis=1), np.repeat([[4.0], [1.0], [-8.0]], 4, axis=1)
    scores = FoldScores(LabelledSentences(Dataset.from_dict(columns), model.labels), logits, words, (0, 1, 2))
    write_scores(tmp_path / "model.out-of-fold.parquet", scores, decision, "0123")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "run.json").write_text('{"fingerprint": "0123"}')
    found = held_out(replace(model, path=tmp_path / "model", decision=decision), None, load_config(None))
    # Shares of the words 1, 0.25 and -2 beside the logits -2, 0 and 2.
    assert found.scores[:, 1] == pytest.approx([1 / (1 + np.exp(-(2 * z - 0.5))) for z in (-1.0, 0.25, 0.0)], abs=5e-4)
    assert (found.source, found.groups, found.truth[0].tolist()) == ("train and validation, out of 3 folds", ["7"] * 3, [1, 0, 0, 0])


def test_out_of_fold_scores_of_another_label_set_are_refused(tmp_path, tiny_model):
    rows = [{"article_id": "x", "group": 1, "fold": 0, "labels": [], "scores": {"other": 0.5}}]
    table = pa.Table.from_pylist(rows).replace_schema_metadata({"netral_training": "0123"})
    pq.write_table(table, tmp_path / "model.out-of-fold.parquet")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "run.json").write_text('{"fingerprint": "0123"}')
    with pytest.raises(NetralError, match="not the out-of-fold scores of this model"):
        held_out(replace(open_model_folder(tiny_model), path=tmp_path / "model"), None, load_config(None))


@pytest.mark.parametrize("metadata", [{"netral_training": "of another training"}, {}, None])
def test_out_of_fold_scores_of_another_training_are_left_out(tmp_path, tiny_model, small_data, capsys, metadata):
    """The tiny model was trained without folds: what lies beside it was left by an earlier one."""
    model = shutil.copytree(tiny_model, tmp_path / "model")
    rows = [{"article_id": "x", "group": 1, "fold": 0, "labels": [], "scores": dict.fromkeys(GOLD_LABELS, 0.5)}]
    beside = tmp_path / "model.out-of-fold.parquet"
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(metadata), beside)
    assert held_out(open_model_folder(model), small_data, load_config(None)).source == "validation"
    assert f"{beside} was not written by the training of {model}" in capsys.readouterr().err
    with pytest.raises(NetralError, match="with its out-of-fold scores") as caught:
        held_out(open_model_folder(model), None, load_config(None))
    assert "--data" in caught.value.next_step
    run = json.loads((model / "run.json").read_text())
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata({"netral_training": run["fingerprint"]}), beside)
    assert held_out(open_model_folder(model), None, load_config(None)).scores.tolist() == [[0.5] * 4]
    (model / "run.json").unlink()
    beside.write_bytes(b"PAR1")
    assert held_out(open_model_folder(model), small_data, load_config(None)).source == "validation"


def test_a_decision_without_bands_is_written_without_them():
    plain = Decision(labels=["a"], calibration={"a": Calibration()}, thresholds={"a": 0.5})
    assert "review" not in plain.model_dump()
    assert plain.model_copy(update={"review": {"a": (0.4, 0.6)}}).model_dump()["review"] == {"a": (0.4, 0.6)}


def test_decide_keeps_what_no_goal_names_and_needs_a_day_for_review(tiny_model, small_data):
    config = load_config(None, ["evaluate.bootstrap_samples=50"])
    before = open_model_folder(tiny_model).decision
    decision, report = decide(tiny_model, [Goal("recall", 0.9, "warning")], config, data=small_data)
    assert {k: v for k, v in decision.thresholds.items() if k != "warning"} == {
        k: v for k, v in before.thresholds.items() if k != "warning"
    }
    assert decision.calibration == before.calibration
    assert decision.review == {}
    assert report["labels"]["permission"]["promise"] == "threshold kept"
    assert decision.chosen_on["goals"]["warning"] == "recall=0.9"
    assert open_model_folder(tiny_model).decision == before
    with pytest.raises(NetralError, match="not known"):
        decide(tiny_model, [Goal("review", 5.0)], config, data=small_data)
    with pytest.raises(NetralError, match=r"no model\.out-of-fold\.parquet"):
        decide(tiny_model, [Goal("f1")], config)


# Drift


def output(path, articles, words="kata biasa saja", score=0.1, seed=0, outlet="Kabar Contoh", citations=()):
    """An output of `netral label`: ten sentences an article, scores spread around one value."""
    rng = np.random.default_rng(seed)
    rows = []
    for a in range(articles):
        level = np.clip(rng.normal(score, 0.05), 0.001, 0.999)
        for s in range(10):
            value = round(float(np.clip(rng.normal(level, 0.05), 0, 1)), 3)
            rows.append(
                {
                    "article_id": f"{path.stem}-{a}",
                    "sentence_id": f"{path.stem}-{a}:{s}",
                    "sentence": f"{words} {'baru' if rng.random() < 0.5 else 'lama'}",
                    "labels": ["a"] if value >= 0.5 else [],
                    "scores": {"a": value, "b": 0.1},
                    "model": "x",
                    "meta": {"outlet": outlet},
                    "citations": [{"canonical": each, "back_reference": False} for each in citations],
                }
            )
    return write_jsonl(path, rows)


def compared(tmp_path, **kwargs):
    one, other = output(tmp_path / "one.jsonl", 60), output(tmp_path / "other.jsonl", 60, **{"seed": 1, **kwargs})
    return drift(read_side(one), read_side(other), SETTINGS)


def test_two_samples_of_one_crawl_show_no_sign(tmp_path):
    found = compared(tmp_path)
    assert (found["verdict"], found["signals"]) == ("no sign", [])
    assert found["outlets"]["new"] == found["citations"]["new"] == 0


def test_each_kind_of_change_is_seen_and_named(tmp_path):
    found = compared(tmp_path, score=0.45)
    assert found["verdict"] == "retrain signal"
    assert [signal.partition(":")[0] for signal in found["signals"]] == ["a", "a"]
    found = compared(tmp_path, words="istilah asing belum dikenal")
    assert [signal.partition(":")[0] for signal in found["signals"]] == ["words"]
    assert "istilah" in found["words"]["most_frequent"]
    found = compared(tmp_path, outlet="Warta Baru", citations=["id/uu/2014/5#pasal-2"])
    assert found["verdict"] == "no sign"  # shown, but no reason to train again
    assert found["outlets"]["most_frequent"] == {"Warta Baru": 60}
    assert found["citations"]["most_frequent"] == {"id/uu/2014/5": 60}


def test_score_distances_agree_with_scipy(tmp_path):
    one, other = output(tmp_path / "one.jsonl", 60), output(tmp_path / "other.jsonl", 40, seed=1, score=0.15)
    values = [[row["scores"]["a"] for row in read_jsonl(path)] for path in (one, other)]
    found = drift(read_side(one), read_side(other), SETTINGS)["scores"]["a"]
    assert found["kolmogorov_smirnov"] == pytest.approx(ks_2samp(*values).statistic, abs=1e-4)
    assert drift(read_side(one), read_side(one), SETTINGS)["scores"]["a"]["p_value"] == 1


def test_population_stability_index_by_hand():
    # 60 and 40 of 100 against 40 and 60, half a count added: twice (60.5 - 40.5) / 101 · ln(60.5 / 40.5).
    expected_value = 2 * (20 / 101) * np.log(60.5 / 40.5)
    assert population_stability_index(np.array([60.0, 40.0]), np.array([40.0, 60.0])) == pytest.approx(expected_value)


def test_alike_articles_do_not_raise_false_alarms(tmp_path):
    """Scores of an article's sentences hang together: with sentences as the unit most pairs of equal crawls would seem to differ."""
    wrong = plain = 0
    for seed in range(20):
        one = read_side(output(tmp_path / "one.jsonl", 30, seed=2 * seed))
        other = read_side(output(tmp_path / "other.jsonl", 30, seed=2 * seed + 1))
        scores = [np.array(side.scores)[:, 0] for side in (one, other)]
        plain += ks_2samp(*scores).pvalue < 0.05
        wrong += drift(one, other, EvaluateSettings(bootstrap_samples=20))["scores"]["a"]["p_value"] < 0.05
    assert wrong <= 4
    assert plain >= 6


def test_against_a_data_set_words_are_compared_and_label_rates_decide_nothing(tmp_path, small_data):
    side = read_side(small_data)
    assert side.gold
    assert sum(side.lengths) == len(side.articles) > 100
    assert any(name.startswith("id/") for name in side.citations)
    with pytest.raises(NetralError, match="no such output"):
        read_side(tmp_path / "missing.jsonl")
    rows = [{**row, "labels": [], "scores": dict.fromkeys(GOLD_LABELS, 0.1)} for row in read_jsonl(output(tmp_path / "one.jsonl", 40))]
    found = drift(side, read_side(write_jsonl(tmp_path / "one.jsonl", rows)), SETTINGS)
    assert found["scores"] is None
    assert found["label_rates"]["warning"]["reference"] > found["label_rates"]["warning"]["other"] == 0
    assert not [signal for signal in found["signals"] if not signal.startswith("words")]


def test_different_labels_are_refused(tmp_path):
    one = output(tmp_path / "one.jsonl", 2)
    rows = [{**row, "scores": {"c": 0.5}} for row in read_jsonl(one)]
    other = write_jsonl(tmp_path / "other.jsonl", rows)
    with pytest.raises(NetralError, match="has the labels c, not a, b"):
        drift(read_side(one), read_side(other), SETTINGS)
    write_jsonl(tmp_path / "other.jsonl", [{"article_id": "x"}])
    with pytest.raises(NetralError, match=r"other\.jsonl:1: not a row of `netral label` \(sentence is missing\)"):
        read_side(tmp_path / "other.jsonl")


# Review


def test_the_queue_holds_the_doubtful_first(tmp_path, tiny_model):
    model = shutil.copytree(tiny_model, tmp_path / "model")
    labels = open_model_folder(model).labels
    data = json.loads((model / "decision.json").read_text())
    with pytest.raises(NetralError, match="no review bands"):
        review(tmp_path / "out.jsonl", model, tmp_path / "queue.jsonl")
    data["thresholds"] |= {labels[0]: 0.5, labels[1]: 0.5}
    data["review"] = {labels[0]: [0.4, 0.6], labels[1]: [0.45, 0.55]}
    (model / "decision.json").write_text(json.dumps(data))
    pairs = [(0.41, 0.1), (0.7, 0.3), (0.9, 0.49), (0.52, 0.54), (0.4, 0.44)]
    rows = [
        {"sentence_id": f"s{i}", "scores": dict(zip(labels, (*pair, 0.5, 0.5), strict=True)), "model": "x"} for i, pair in enumerate(pairs)
    ]
    found = review(write_jsonl(tmp_path / "out.jsonl", rows), model, tmp_path / "queue.jsonl")
    queue = read_jsonl(tmp_path / "queue.jsonl")
    assert [row["sentence_id"] for row in queue] == ["s2", "s3", "s0", "s4"]
    assert queue[1]["review"] == [labels[0], labels[1]]
    assert queue[0]["review"] == [labels[1]]
    assert found == {"rows": 5, "in_bands": 4, "written": 4, "other_model": 5}
    assert review(tmp_path / "out.jsonl", model, tmp_path / "queue.jsonl", limit=1, overwrite=True)["written"] == 1
    with pytest.raises(NetralError, match="exists"):
        review(tmp_path / "out.jsonl", model, tmp_path / "queue.jsonl")
