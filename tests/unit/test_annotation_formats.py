import csv
import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import DATA, read_jsonl, write_jsonl

from netral.config import Config
from netral.errors import NetralError
from training.annotation.collect import collect, read_answers
from training.annotation.formats import FORMATS, detect, format_named, label_studio
from training.annotation.formats.table import guarded, unguarded
from training.annotation.task import ORIGIN_FIELDS, Answer, Origin, Task, answer_row

FILES = DATA / "annotation"
LABELS = Config().labels
# What both people said, by sentence; None: skipped.
ANI = [("warning",), ("warning", "sanction_threat"), ()]
BUDI = [("warning",), None, ()]
# Made by hand in the shape that each tool writes; docs/annotation.md says against what each was checked.
EXPORTS = {
    "label-studio": (["label_studio.json"], ["1", "2"], True),
    "label-studio minimal": (["label_studio_min.json"], ["1", "2"], False),
    "doccano": (["doccano/ani.jsonl", "doccano/budi.jsonl"], ["ani", "budi"], False),
    "prodigy": (["prodigy.jsonl"], ["ani", "budi"], True),
    "argilla": (["argilla.json"], ["8a1f0c52-6f0e-4f0b-9d52-0d1f6a2b7c01", "8a1f0c52-6f0e-4f0b-9d52-0d1f6a2b7c02"], False),
    "csv": (["sheet-ani.csv", "sheet-budi.csv"], ["ani", "budi"], True),
    "netral": (["netral.jsonl"], ["ani", "budi"], True),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_what_a_tool_exports_comes_back_whole(tmp_path, name):
    files, (ani, budi), keeps_skipped = EXPORTS[name]
    answers, counts = collect([FILES / file for file in files], tmp_path / "answers.jsonl", Config())
    assert counts["formats"] == [name.split()[0]]
    found = {(a.origin.sentence_id, a.annotator): a.labels for a in answers}
    expected = {(f"karangwuni:{i + 1}", who): labels for who, said in ((ani, ANI), (budi, BUDI)) for i, labels in enumerate(said)}
    if not keeps_skipped:  # these files leave out what a person skipped
        del expected["karangwuni:2", budi]
    assert found == expected
    text = read_jsonl(FILES / "articles.jsonl")[0]["text"]
    assert all(text[a.origin.start : a.origin.end] == a.sentence for a in answers)
    third = next(a for a in answers if a.origin.sentence_id == "karangwuni:3")
    assert (third.origin.strategy, third.origin.inclusion_probability, third.origin.suggested) == ("random", 0.0125, ())
    # An answer file is itself a file that import reads.
    again, _ = collect([tmp_path / "answers.jsonl"], tmp_path / "again.jsonl", Config())
    assert again == answers == read_answers(tmp_path / "answers.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "answers.jsonl").read_bytes()


def test_the_archive_of_a_doccano_project_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "project.zip", "w") as archive:
        for name in ("ani", "budi"):
            archive.write(FILES / "doccano" / f"{name}.jsonl", f"{name}.jsonl")
    whole, _ = collect([tmp_path / "project.zip"], tmp_path / "a.jsonl", Config())
    single, _ = collect([FILES / "doccano/ani.jsonl", FILES / "doccano/budi.jsonl"], tmp_path / "b.jsonl", Config())
    assert whole == single


def filled(kind, path, answers):
    """Answer exported tasks as a person at the tool would: only the fields that the tool itself changes are touched."""
    if kind == "csv":
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
        for row, labels in zip(rows, answers, strict=True):
            row |= {f"label {label}": "1" if label in (labels or ()) else "0" for label in LABELS}
            row |= {"annotator": "ani", "skipped": "1" if labels is None else ""}
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(rows)
        return
    # Not splitlines: it also cuts at characters that may stand within a line of JSON.
    rows = json.loads(path.read_text()) if path.suffix == ".json" else [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    for row, labels in zip(rows, answers, strict=True):
        if kind == "label-studio":
            value = [{"from_name": "labels", "to_name": "text", "type": "choices", "value": {"choices": list(labels)}}] if labels else []
            row["annotations"] = [{"completed_by": "ani", "result": value, "was_cancelled": labels is None}]
        elif kind == "doccano":
            row["label"] = sorted(labels)
        elif kind == "prodigy":
            row |= {"answer": "ignore" if labels is None else "accept", "_annotator_id": "ani"}
            row["accept"] = list(labels) if labels is not None else row["accept"]
        elif kind == "argilla":
            row["responses"] = {"labels": [{"value": list(labels) or ["no_label"], "user_id": "ani"}]}
        else:
            row |= {"annotator": "ani", "labels": None if labels is None else list(labels)}
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        write_jsonl(path, rows)


SUFFIX = {"label-studio": ".json", "argilla": ".json", "csv": ".csv"}
# Whatever can stand in a crawled sentence and its ids; a NUL cannot: `netral label` rejects it.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).filter(str.strip)
label_sets = st.lists(st.sampled_from(LABELS), unique=True).map(lambda chosen: tuple(label for label in LABELS if label in chosen))


@st.composite
def task_lists(draw):
    tasks = []
    for number in range(draw(st.integers(1, 4))):
        sentence, start = draw(texts), draw(st.integers(0, 10**9))
        chance = draw(st.none() | st.floats(1e-6, 1))
        strategy = draw(st.sampled_from(["random", "uncertainty", "disagreement", "diversity"]))
        origin = Origin(f"{draw(texts)}:{number}", f"a{number}", start, start + len(sentence), strategy, chance, "0f1e", draw(label_sets))
        scores = {label: draw(st.integers(0, 1000)) / 1000 for label in LABELS}
        tasks.append(Task(origin, sentence, tuple(draw(st.lists(texts, max_size=2))), tuple(draw(st.lists(texts, max_size=2))), scores))
    return tasks


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=60, deadline=None)
@given(tasks=task_lists(), data=st.data())
def test_the_round_trip_loses_nothing(tmp_path_factory, kind, tasks, data):
    path = tmp_path_factory.mktemp("trip") / f"ani{SUFFIX.get(kind, '.jsonl')}"
    format_named(kind).write(tasks, path)
    can_skip = kind not in ("doccano", "argilla")
    answers = [data.draw(st.none() | label_sets if can_skip else label_sets) for _ in tasks]
    filled(kind, path, answers)
    assert detect(path) == kind
    found = list(format_named(kind).read(path, None))
    assert [(a.origin, a.sentence, a.annotator) for a in found] == [(t.origin, t.sentence, "ani") for t in tasks]
    assert [None if a.labels is None else set(a.labels) for a in found] == [None if a is None else set(a) for a in answers]


@pytest.mark.parametrize("kind", ["label-studio", "csv", "netral", "argilla"])
def test_tasks_that_nobody_answered_give_no_answer(tmp_path, kind):
    task = Task(Origin("a:1", "a", 0, 9, "random", 0.5, "0f1e", ("warning",)), "Kata dia.", (), (), {"warning": 0.9})
    path = tmp_path / f"tasks{SUFFIX.get(kind, '.jsonl')}"
    format_named(kind).write([task], path)
    if kind == "label-studio":
        path.write_text(json.dumps([{**row, "annotations": []} for row in json.loads(path.read_text())]))
    assert list(format_named(kind).read(path, None)) == []


def test_an_answer_row_has_the_documented_fields():
    row = answer_row(Answer(Origin("a:1", "a", 0, 9), "Kata dia.", "ani", ()))
    assert list(row)[:7] == ["sentence_id", "article_id", "start", "end", "sentence", "annotator", "labels"]
    assert set(row) == {*ORIGIN_FIELDS, "sentence", "annotator", "labels"}


def test_the_fewest_fields_that_another_program_must_write(tmp_path):
    row = {
        "sentence_id": "a:1",
        "article_id": "a",
        "start": 0,
        "end": 9,
        "sentence": "Kata dia.",
        "annotator": "ani",
        "labels": ["warning"],
    }
    answers, _ = collect([write_jsonl(tmp_path / "a.jsonl", [row])], tmp_path / "out.jsonl", Config())
    assert answers == [Answer(Origin("a:1", "a", 0, 9), "Kata dia.", "ani", ("warning",))]


@given(st.text())
def test_guarding_a_cell_is_undone(cell):
    assert unguarded(guarded(cell)) == cell
    assert not guarded(cell).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_the_interface_escapes_label_names():
    from xml.etree import ElementTree

    names = ['a "b" <c>', "it's & more"]
    choices = ElementTree.fromstring(label_studio.interface(names)).iter("Choice")  # noqa: S314 - our own text
    assert [(choice.get("value"), choice.get("hotkey")) for choice in choices] == [(names[0], "1"), (names[1], "2")]


ROW = {"sentence_id": "a:1", "article_id": "a", "start": 0, "end": 9}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", "rubbish\n", "x.jsonl:1: no JSON"),
        ("x.jsonl", "[1]\n", "record 1: no JSON object"),
        ("x.jsonl", "", "holds no record"),
        ("x.json", "{}", "no list of records"),
        ("x.jsonl", '{"a": 1}\n', "no format that is known; its first record has a"),
        ("x.jsonl", json.dumps({"annotator": "b", "labels": [], "sentence": "x", **ROW, "start": 9}) + "\n", "x.jsonl:1: start and end"),
        ("x.jsonl", json.dumps({"annotator": "b", "labels": [], "sentence": "x", "article_id": "a"}) + "\n", "sentence_id is missing"),
        ("x.jsonl", json.dumps({"annotator": "b", "labels": "warning", "sentence": "x", **ROW}) + "\n", "no list of names"),
        ("x.jsonl", json.dumps({"annotator": "b", "labels": ["bad"], "sentence": "x", **ROW}) + "\n", "a:1: unknown label 'bad'"),
        ("x.jsonl", json.dumps({"answer": "maybe", "text": "x", **ROW}) + "\n", "`answer` is 'maybe'"),
        ("x.jsonl", json.dumps({"answer": "accept", "text": "x", **ROW}) + "\n", "neither _annotator_id"),
        ("x.json", json.dumps([{"annotations": [{"result": [{"from_name": "other"}]}], "data": {"text": "x", **ROW}}]), "no choices named"),
        ("x.csv", "a,b\n1,2\n", "x.csv:1: no column `label …`"),
        (
            "x.csv",
            "label warning,annotator,sentence,sentence_id,article_id,start,end\nmaybe,b,x,a:1,a,0,9\n",
            "x.csv:2: warning is 'maybe'",
        ),
        ("x.csv", "label warning,annotator,sentence,sentence_id,article_id,start,end\n1,b,x,a:1,a,nought,9\n", "x.csv:2: invalid literal"),
        ("x.zip", "no archive", "no zip file"),
    ],
)
def test_a_damaged_file_is_refused_with_its_row(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(NetralError, match=message.replace("(", r"\(")):
        collect([tmp_path / name], tmp_path / "out.jsonl", Config())
    assert not (tmp_path / "out.jsonl").exists()


def test_an_unknown_format_is_named():
    with pytest.raises(NetralError, match="label-studio, doccano"):
        format_named("brat")
