"""The runner of the behaviour suite, with a predictor that is told what to say."""

import json

import pytest
import yaml

from netral.errors import NetralError
from netral.labels import LABELS
from netral.records import Prediction
from training.evaluation import behaviour
from training.evaluation.behaviour import below_floors, default_folder, load_cases, main, raised, read_floors, run_behaviour, write_floors
from training.report.markdown import behaviour_failures, behaviour_markdown, behaviour_rows


class Told:
    """Gives each sentence the labels whose capital letter it holds: W, S, P, R."""

    labels = LABELS

    def predict(self, sentences):
        found = []
        for sentence in sentences:
            given = tuple(label for label, letter in zip(LABELS, "WSPR", strict=True) if letter in sentence)
            found.append(Prediction(given, {label: 0.9 if label in given else 0.1 for label in LABELS}, False))
        return found


def write(folder, group, *cases):
    folder.mkdir(exist_ok=True)
    (folder / f"{group}.yaml").write_text(yaml.safe_dump({"cases": list(cases)}), encoding="utf-8")
    return folder


def case(name, **fields):
    return {"id": name, "rule": "a rule", **fields}


def judged(tmp_path, *cases):
    return run_behaviour(load_cases(write(tmp_path / "cases", "g", *cases), LABELS), Told())


@pytest.mark.parametrize(
    ("expected", "passes"),
    [
        ({"text": "W", "present": ["warning"]}, True),
        ({"text": "x", "present": ["warning"]}, False),
        ({"text": "x", "absent": ["warning"]}, True),
        ({"text": "W", "absent": ["warning"]}, False),
        ({"text": "WP", "present": ["warning"]}, True),  # permission is not tested
        ({"text": "WP", "present": ["warning"], "absent": "rest"}, False),
        ({"text": "x", "absent": "rest"}, True),
        ({"same": ["W 1", "W 2"]}, True),
        ({"same": ["W 1", "W 2", "x"]}, False),
        ({"same": ["W 1", "WP 2"], "present": ["warning"]}, False),  # both warn, but the labels differ
        ({"same": ["x 1", "x 2"], "present": ["warning"]}, False),  # alike, but both wrong
        ({"same": ["W 1", "W 2"], "present": ["warning"], "absent": "rest"}, True),
    ],
)
def test_what_passes(tmp_path, expected, passes):
    report = judged(tmp_path, case("a", **expected))
    assert (report["cases"], report["passed"]) == (1, int(passes))
    assert [each["id"] for each in report["failed"]] == ([] if passes else ["a"])


def test_rates_and_intervals_per_group(tmp_path):
    folder = write(tmp_path / "cases", "b", *(case(f"b{i}", text="W" if i < 8 else "x", present=["warning"]) for i in range(10)))
    write(folder, "a", case("a1", text="S", present=["sanction_threat"]))
    report = run_behaviour(load_cases(folder, LABELS), Told())
    assert list(report["groups"]) == ["a", "b"]
    # Wilson's interval for 8 of 10, from the formula by hand.
    counts = {"cases": 10, "passed": 8, "pass_rate": 0.8, "interval": [0.4902, 0.9433]}
    assert report["groups"]["b"] == {**counts, "sets": 0, "labels_differ": 0}
    assert report["groups"]["a"]["interval"][1] == 1
    assert (report["cases"], report["passed"]) == (11, 9)
    assert behaviour_rows(report)[-1][:3] == ["all", "11", "9"]
    json.dumps(report)


def test_sets_that_differ_are_told_from_sets_that_are_alike_and_wrong(tmp_path):
    report = judged(
        tmp_path,
        case("a", same=["W 1", "x 1"], present=["warning"]),
        case("b", same=["x 2", "x 3"], present=["warning"]),
        case("c", same=["W 2", "W 3"], present=["warning"]),
    )
    assert (report["passed"], report["sets"], report["labels_differ"]) == (1, 3, 1)
    assert behaviour_rows(report)[-1][-1] == "1 of 3 sets"


def test_a_failure_says_what_is_wrong_with_which_sentence(tmp_path):
    report = judged(tmp_path, case("a", same=["W one", "P two"], present=["warning"], absent=["permission"]))
    (failed,) = report["failed"]
    assert failed["labels_differ"]
    first, second = failed["sentences"]
    assert (first["missing"], first["unexpected"]) == ([], [])
    assert (second["missing"], second["unexpected"]) == (["warning"], ["permission"])
    assert second["scores"]["permission"] == 0.9
    text = "\n".join(behaviour_failures(report))
    assert "a (a rule); labels differ" in text
    assert "missing warning; unexpected permission: P two (warning 0.10" in text
    assert text in behaviour_markdown(report)


def test_sentences_are_labelled_in_one_call(tmp_path):
    calls = []

    class Counting(Told):
        def predict(self, sentences):
            calls.append(len(sentences))
            return super().predict(sentences)

    folder = write(tmp_path / "cases", "g", case("a", text="x", absent="rest"), case("b", same=["y", "z"]))
    run_behaviour(load_cases(folder, LABELS), Counting())
    assert calls == [3]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "a", "rule": "r", "text": "x", "present": ["wraning"]}, "case a: the model has no label wraning"),
        ({"id": "a", "rule": "r", "text": "x", "absent": ["wraning"]}, "case a: the model has no label wraning"),
        ({"id": "a", "rule": "r", "text": "x"}, "case a: nothing is expected"),
        ({"id": "a", "rule": "r", "absent": "rest"}, "case a: write either"),
        ({"id": "a", "rule": "r", "text": "x", "same": ["x", "y"]}, "case a: write either"),
        ({"id": "a", "rule": "r", "same": ["x"]}, "case a: same"),
        ({"id": "a", "rule": "r", "text": "x", "absent": "all"}, "case a: absent"),
        ({"id": "a", "rule": "r", "text": "x", "present": ["warning"], "absent": ["warning"]}, "case a: warning cannot be both"),
        ({"id": "a", "text": "x", "absent": "rest"}, "case a: rule"),
        ({"id": 7, "rule": "r", "text": "x", "absent": "rest"}, "case number 1: id"),
        ({"id": "a", "rule": "r", "text": "x", "absent": "rest", "labels": []}, "case a: labels"),
        ("x", "case number 1"),
    ],
)
def test_a_malformed_case_is_named(tmp_path, row, message):
    folder = write(tmp_path / "cases", "g", row)
    with pytest.raises(NetralError) as caught:
        load_cases(folder, LABELS)
    assert "g.yaml" in caught.value.message
    assert message in caught.value.message
    assert caught.value.next_step


def test_an_id_that_stands_twice_is_refused(tmp_path):
    folder = write(tmp_path / "cases", "g", case("a", text="x", absent="rest"))
    write(folder, "h", case("a", text="y", absent="rest"))
    with pytest.raises(NetralError, match=r"h\.yaml: case a: the id stands in g\.yaml"):
        load_cases(folder, LABELS)


@pytest.mark.parametrize("text", ["", "cases: []", "cases: 3", "- a", "cases: []\nmore: 1", "cases: [", "cases: \x00"])
def test_a_file_without_cases_is_named(tmp_path, text):
    (tmp_path / "g.yaml").write_text(text)
    with pytest.raises(NetralError, match=r"g\.yaml"):
        load_cases(tmp_path, LABELS)


def test_a_folder_without_cases_is_named(tmp_path):
    with pytest.raises(NetralError, match="holds no case"):
        load_cases(tmp_path, LABELS)
    with pytest.raises(NetralError, match="no such folder"):
        load_cases(tmp_path / "none", LABELS)


def test_other_label_sets_work(tmp_path):
    folder = write(tmp_path / "cases", "g", case("a", text="x", present=["positif"], absent="rest"))
    (found,) = load_cases(folder, ["positif", "negatif", "netral"])
    assert found.absent == {"negatif", "netral"}


def test_without_a_checkout_there_is_no_default(monkeypatch, tmp_path):
    monkeypatch.setattr(behaviour, "CASES", tmp_path / "none")
    with pytest.raises(NetralError) as caught:
        default_folder()
    assert "--behaviour FOLDER" in caught.value.next_step


def report_of(**passed):
    return {"groups": {group: {"passed": n, "cases": 3} for group, n in passed.items()}}


def test_floors_only_rise():
    floors = {"a": 0.5, "b": 0.9}
    assert raised(floors, report_of(a=2, b=2, c=1)) == {"a": 0.6666, "b": 0.9, "c": 0.3333}
    assert floors == {"a": 0.5, "b": 0.9}


def test_a_raised_floor_is_reached_and_one_case_less_is_not(tmp_path):
    report = report_of(a=2)
    write_floors(tmp_path / "floors.yaml", raised({}, report))
    floors = read_floors(tmp_path / "floors.yaml")
    assert below_floors(report, floors) == []
    assert "a: 1 of 3 cases pass" in below_floors(report_of(a=1), floors)[0]


def test_a_group_without_a_floor_and_a_floor_without_a_group_are_named():
    assert below_floors(report_of(a=3), {"b": 0.5}) == ["a: no floor", "b: a floor without cases"]


@pytest.mark.parametrize("text", ["a: 2", "a: high", "- 1"])
def test_a_malformed_floors_file_is_named(tmp_path, text):
    (tmp_path / "floors.yaml").write_text(text)
    with pytest.raises(NetralError, match=r"floors\.yaml"):
        read_floors(tmp_path / "floors.yaml")


def test_the_command_raises_floors_and_holds_them(tmp_path, monkeypatch, capsys):
    class Loaded(Told):
        def __init__(self, model):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr("inference.predictor.Predictor", Loaded)
    folder = write(tmp_path / "cases", "g", case("a", text="W", present=["warning"]), case("b", text="x", present=["warning"]))
    options = ["--cases", str(folder), "--floors", str(tmp_path / "floors.yaml")]
    with pytest.raises(NetralError, match=r"floors\.yaml"):
        main(options)
    assert main([*options, "--raise-floors"]) == 0
    assert read_floors(tmp_path / "floors.yaml") == {"g": 0.5}
    write(folder, "g", case("a", text="y", present=["warning"]), case("b", text="x", present=["warning"]))
    assert main(options) == 1
    assert "the floor is 0.5000" in capsys.readouterr().out
    assert main([*options, "--raise-floors"]) == 1
    assert read_floors(tmp_path / "floors.yaml") == {"g": 0.5}
