"""The figures that the report's page brought along, by hand: confusion, the curve's points, intervals without errors, strips, the base."""

from pathlib import Path

import numpy as np
import pytest

from netral.errors import NetralError
from training.evaluation.against import base_inputs
from training.evaluation.assess import _figures
from training.report.svg import Frame, mark, tag, whisker
from training.statistics.bootstrap import GroupBootstrap
from training.statistics.compare import system_names
from training.statistics.confusion import NONE_MISSED, NOTHING_INSTEAD, confusions
from training.statistics.curves import precision_recall_points
from training.statistics.predictions import Predictions, write_predictions


def predictions(truth, given, labels=("a", "b", "c"), choices=None):
    n, truth, given = len(truth), np.array(truth), np.array(given)
    ids = [f"x:{i}" for i in range(n)]
    return Predictions(tuple(labels), ids, ids, list(range(n)), ids, truth, given, given.astype(float), choices or {})


def test_confusion_by_hand():
    truth = [[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
    given = [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 1], [0, 1, 1], [0, 0, 0]]
    (table,) = confusions(predictions(truth, given))
    # Found a; a and b missed and c given for both; a missed; b and c given for nothing; b found and c given beside it; nothing at all.
    assert table.rows == ["a", "b", "c", NONE_MISSED]
    assert table.columns == ["a", "b", "c", NOTHING_INSTEAD]
    assert table.counts.tolist() == [[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0], [0, 1, 2, 0]]
    assert table.of.tolist() == [3, 2, 0, 2]


def test_confusion_of_one_of_several_labels():
    truth = [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    given = [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    (table,) = confusions(predictions(truth, given, choices={"": ["a", "b", "c"]}))
    assert (table.aspect, table.rows, table.columns) == ("", ["a", "b", "c"], ["a", "b", "c"])
    assert table.counts.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert table.of.tolist() == [2, 0, 1]


def test_equal_scores_are_one_point_of_the_curve():
    points = precision_recall_points(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1, 0, 1, 0]))
    assert points == pytest.approx(np.array([[0.9, 1, 0.5], [0.5, 2 / 3, 1], [0.1, 0.5, 1]]))


def test_no_error_is_no_certainty():
    truth = np.ones((20, 2), dtype=int)
    boot = GroupBootstrap(list(range(20)), 100, 0.95, 1)
    assert boot.interval(boot.f1(truth, truth).mean(axis=1)) == [1, 1]  # what resampling alone says
    # Wilson for 20 of 20: 20 / 23.8415 = 0.8389, as F1 2 · 0.8389 / 1.8389 = 0.9124; the mean of two such: 1 - 0.0876 / sqrt(2).
    assert boot.macro_f1_interval(truth, truth) == pytest.approx([0.9380, 1], abs=1e-4)
    # One value over both columns: 40 of 40, 40 / 43.8415.
    assert boot.macro_f1_interval(truth, truth, np.ones((2, 1), dtype=int)) == pytest.approx([2 / (1 + 43.8415 / 40), 1], abs=1e-4)
    figures = _figures(truth, truth, ("a", "b"), {}, boot)
    assert figures["exact_match_interval"] == pytest.approx([20 / 23.8415, 1], abs=1e-4)
    assert figures["micro_f1_interval"] == pytest.approx([2 / (1 + 43.8415 / 40), 1], abs=1e-4)
    labels = [each["f1_interval"] for each in figures["labels"].values()]
    assert labels[0][0] < figures["macro_f1_interval"][0] < 1


def test_a_label_that_neither_occurs_nor_is_given_does_not_widen_macro_f1():
    truth = np.tile([1, 0], (20, 1))
    boot = GroupBootstrap(list(range(20)), 100, 0.95, 1)
    # The mean of 1 [0.9124, 1], as above, and of 0, which is known.
    assert boot.macro_f1_interval(truth, truth) == pytest.approx([0.5 - (1 - 0.9124) / 2, 0.5], abs=1e-4)
    # Given once, and wrongly: of 1 thing 0 agree, Wilson's upper end 3.8415 / 4.8415 = 0.7935, as F1 0.8849.
    given = truth.copy()
    given[0, 1] = 1
    assert boot.macro_f1_interval(given, truth)[1] == pytest.approx(0.5 + 0.8849 / 2, abs=1e-4)


def test_accuracy_without_an_error_is_no_certainty_either():
    truth = np.tile([1, 0], (20, 1))
    figures = _figures(truth, truth, ("a", "b"), {"": ["a", "b"]}, GroupBootstrap(list(range(20)), 100, 0.95, 1))
    assert figures["accuracy_interval"] == pytest.approx([20 / 23.8415, 1], abs=1e-4)


def test_many_errors_leave_macro_f1_to_the_bootstrap():
    """Whole articles right or wrong: the spread between articles is far wider than independent sentences would have it."""
    right = np.repeat([1, 1, 1, 0, 0, 1, 0, 1], 25)[:, None]
    truth, given = np.ones((200, 1), dtype=int), right
    boot = GroupBootstrap(np.repeat(np.arange(8), 25).tolist(), 400, 0.95, 1)
    assert boot.macro_f1_interval(given, truth) == boot.interval(boot.f1(given, truth).mean(axis=1))


def test_places_in_a_frame():
    frame = Frame(across=(-0.2, 0.2), width=120, height=50, left=10, right=10, top=0, bottom=10)
    assert frame.point(0, 0.5) == (60, 20)
    assert (frame.x(-0.2), frame.x(0.2)) == (10, 110)


def test_svg_escapes_what_it_is_given():
    assert str(tag("text", '"<b>"', class_='a"b')) == '<text class="a&#34;b">&#34;&lt;b&gt;&#34;</text>'
    assert str(tag("g", tag("line"))) == "<g><line></line></g>"
    assert "<title>&lt;b&gt;</title>" in mark("square", 1, 2, 9, "<b>")
    assert 'class="mark c1"' in mark("square", 1, 2, 9)
    assert 'd="M1 5L9 5M1 2.5v5M9 2.5v5"' in whisker((1, 5), (9, 5), 0)


def test_what_a_base_adds_to_the_inputs(tmp_path):
    assert base_inputs(None, tmp_path / "model") == []
    base = tmp_path / "base"
    base.mkdir()
    with pytest.raises(NetralError, match=r"holds no predictions\.parquet"):
        base_inputs(base, tmp_path / "model")
    write_predictions(base / "predictions.parquet", predictions([[1, 0, 0]], [[0, 0, 0]]))
    ((name, digest),) = base_inputs(base, tmp_path / "model")
    assert name == "model against base"
    write_predictions(base / "predictions.parquet", predictions([[1, 0, 0]], [[1, 0, 0]]))
    assert base_inputs(base, tmp_path / "model") != [(name, digest)]
    with pytest.raises(NetralError, match="the same folder twice"):
        base_inputs(base, base)


def test_systems_of_one_name_are_called_by_their_paths():
    assert system_names([Path("a/model"), Path("b/other")]) == ["model", "other"]
    assert system_names([Path("a/model"), Path("b/model")]) == ["a/model", "b/model"]
