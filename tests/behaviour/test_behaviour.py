"""The behaviour suite: its promises, and the floors that the shipped default model must reach."""

import re
from collections import Counter

import pytest

from inference import Predictor
from netral.labels import LABELS
from training.data.near_duplicates import closest_across
from training.evaluation.behaviour import CASES, FLOORS, below_floors, load_cases, read_floors, run_behaviour
from training.report.markdown import behaviour_failures


@pytest.fixture(scope="module")
def cases():
    return load_cases(CASES, LABELS)


def test_size_and_spread(cases):
    count = Counter(case.group for case in cases)
    assert len(cases) >= 360
    assert min(count.values()) >= 12
    kinds = {"negation", "exceptions", "modality", "threats", "past-sanctions", "instruments", "scope-officials", "scope-public"}
    kinds |= {"quotation", "speaker", "look-alikes", "headlines"}
    kinds |= {f"invariance-{kind}" for kind in ("case", "typos", "quotes", "swaps", "length")}
    assert set(count) == kinds
    assert all((len(case.sentences) > 1) == case.group.startswith("invariance-") for case in cases)


def test_each_label_is_expected_and_forbidden_often(cases):
    """So that a model that never or always gives a label cannot look good."""
    for label in LABELS:
        assert sum(label in case.present for case in cases) >= 30
        assert sum(label in case.absent for case in cases) >= 100
    assert sum(not case.present for case in cases) >= 100


def test_no_sentence_stands_twice(cases):
    sentences = [sentence for case in cases for sentence in case.sentences]
    assert len(set(sentences)) == len(sentences)


def test_ids_name_their_group(cases):
    assert all(re.fullmatch(rf"{case.group}-\d\d", case.id) for case in cases)


def test_no_case_is_a_near_copy_of_a_gold_sentence(cases, gold_labels):
    """The gold corpus is what the model is trained on."""
    sentences = [(case.id, sentence) for case in cases for sentence in case.sentences]
    gold = [("gold", row["sentence"]) for row in gold_labels]
    splits = ["cases"] * len(sentences) + ["train"] * len(gold)
    nearest = closest_across([text for _, text in sentences + gold], splits)
    assert {sentences[i][0]: similarity for similarity, i, _ in nearest if similarity >= 0.6} == {}
    assert len(nearest) == len(sentences)


def test_the_default_model_reaches_the_floor_of_every_group():
    with Predictor(backend="torch") as predictor:
        report = run_behaviour(load_cases(CASES, predictor.labels), predictor)
    problems = below_floors(report, read_floors(FLOORS))
    groups = {problem.split(":")[0] for problem in problems}
    failed = {**report, "failed": [each for each in report["failed"] if each["group"] in groups]}
    assert not problems, "\n".join([*problems, *behaviour_failures(failed)])
