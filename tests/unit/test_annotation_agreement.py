import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import write_jsonl

from netral.config import Config, EvaluateSettings
from netral.errors import NetralError
from training.annotation.agreement import agreement, alpha, to_adjudicate
from training.annotation.collect import collect, to_gold
from training.annotation.task import Answer, Origin

SETTINGS = EvaluateSettings(bootstrap_samples=200)


def counts_of(*raters):
    """Count the values of each unit; a dot is a missing answer."""
    values = sorted({value for rater in raters for value in rater} - {"."})
    return np.array([[unit.count(value) for value in values] for unit in zip(*raters, strict=True)])


@pytest.mark.parametrize(
    ("raters", "expected"),
    [
        # Krippendorff (2011), Computing Krippendorff's Alpha-Reliability: A, two observers and two values.
        (("0100000010", "1110010000"), 0.095),
        # B, two observers and several values.
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        # C, four observers with missing answers; the last unit has one answer and does not count.
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
    ],
)
def test_alpha_of_worked_examples(raters, expected):
    found = alpha(counts_of(*raters))
    assert found == pytest.approx(expected, abs=0.0005)


def pairwise_alpha(counts):
    """Alpha from its definition, by listing every pair of answers to a unit and every pair of answers at all."""
    answers = [[value for value, times in enumerate(unit) for _ in range(times)] for unit in counts]
    answers = [unit for unit in answers if len(unit) >= 2]
    n = sum(map(len, answers))
    observed = sum(sum(a != b for i, a in enumerate(u) for j, b in enumerate(u) if i != j) / (len(u) - 1) for u in answers) / max(n, 1)
    flat = [value for unit in answers for value in unit]
    expected = sum(a != b for i, a in enumerate(flat) for j, b in enumerate(flat) if i != j) / max(n * (n - 1), 1)
    return None if expected == 0 else 1 - observed / expected


tables = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=1, max_size=12).map(np.array)


@given(tables)
def test_alpha_is_what_the_definition_says(counts):
    expected = pairwise_alpha(counts.tolist())
    found = alpha(counts)
    assert found == expected if expected is None else found == pytest.approx(expected)


@given(tables, st.randoms())
def test_alpha_depends_on_neither_order_nor_names(counts, random):
    rows = counts.tolist()
    random.shuffle(rows)
    again = alpha(np.array(rows)[:, ::-1])
    found = alpha(counts)
    assert again == found if found is None else again == pytest.approx(found)
    assert found is None or found <= 1


def test_alpha_is_one_for_agreement_and_not_defined_without_variation():
    assert alpha(np.array([[2, 0], [0, 3]])) == 1
    assert alpha(np.array([[2, 0], [3, 0]])) is None
    assert alpha(np.array([[1, 0], [0, 1]])) is None


def test_alpha_is_near_zero_for_chance():
    yes = np.random.default_rng(0).binomial(2, 0.3, size=20_000)
    assert alpha(np.column_stack([2 - yes, yes])) == pytest.approx(0, abs=0.02)


def answer(article, number, who, labels, sentence="Kalimat itu."):
    origin = Origin(f"{article}:{number}", article, number * 20, number * 20 + len(sentence))
    return Answer(origin, sentence, who, None if labels is None else tuple(labels))


def test_figures_by_hand():
    """Two articles, two annotators: they agree on three of four sentences; a skipped fifth counts for nothing."""
    answers = [
        *(answer("x", i, "ani", labels) for i, labels in enumerate([["a"], ["a"], [], []])),
        *(answer("x", i, "budi", labels) for i, labels in enumerate([["a"], [], [], []])),
        answer("y", 0, "ani", ["a"]),
        answer("y", 0, "budi", None),
    ]
    found = agreement(answers, ["a", "b"], SETTINGS)
    assert found["annotators"] == {"ani": 5, "budi": 4}
    assert (found["sentences"], found["answered_by_several"]) == (5, 4)
    # Observed disagreement 2/8; expected 2·3·5/(8·7); so 1 - 0.25/0.5357.
    assert found["labels"]["a"]["alpha"] == pytest.approx(1 - (2 / 8) / (30 / 56), abs=1e-4)
    assert found["labels"]["b"] == {"alpha": None, "interval": None, "given": 0, "answers": 8}
    (pair,) = found["pairs"]
    assert (pair["annotators"], pair["n"], pair["same_labels"]) == (["ani", "budi"], 4, 0.75)
    # Kappa: observed 0.75, by chance 0.5·0.25 + 0.5·0.75 = 0.5.
    assert pair["labels"]["a"] == {"kappa": 0.5, "agreement": 0.75, "both": 1}
    assert pair["labels"]["b"]["kappa"] is None
    (task,) = to_adjudicate(answers, ["a", "b"])
    assert task.origin.sentence_id == "x:1"
    assert task.answers == {"ani": ("a",), "budi": ()}
    assert task.scores == {"a": 0.5, "b": 0.0}


def test_the_interval_is_over_articles():
    """Ten articles of five sentences that are all alike within an article: as uncertain as ten sentences, not as fifty."""
    rng = np.random.default_rng(3)
    rows = [(f"x{k:02}", rng.random() < 0.5, rng.random() < 0.3) for k in range(10)]
    clustered, single = [], []
    for article, yes, differs in rows:
        for i in range(5):
            pair = [
                answer(article, i, "ani", ["a"] if yes else []),
                answer(article, i, "budi", ["a"] if yes != differs else []),
            ]
            clustered += pair
            single += [replace(each, origin=replace(each.origin, article_id=f"{article}-{i}")) for each in pair]
    wide = agreement(clustered, ["a"], SETTINGS)["labels"]["a"]
    narrow = agreement(single, ["a"], SETTINGS)["labels"]["a"]
    assert wide["alpha"] == narrow["alpha"]
    assert wide["interval"][0] <= wide["alpha"] <= wide["interval"][1]
    assert wide["interval"][1] - wide["interval"][0] > 1.5 * (narrow["interval"][1] - narrow["interval"][0])


def test_nobody_answered_the_same_sentence():
    found = agreement([answer("x", 0, "ani", ["a"]), answer("x", 1, "budi", ["a"])], ["a"], SETTINGS)
    assert found["labels"]["a"]["alpha"] is None
    assert found["pairs"] == [{"annotators": ["ani", "budi"], "n": 0}]


def test_gold_by_majority_by_adjudicator_and_undecided():
    answers = [
        *(answer("x", 0, who, labels) for who, labels in [("ani", ["a"]), ("budi", ["a", "b"]), ("cici", [])]),
        *(answer("x", 1, who, labels) for who, labels in [("ani", ["a"]), ("budi", [])]),
        answer("x", 2, "ani", None),
        answer("x", 3, "ani", []),
    ]
    gold = to_gold(answers, ["a", "b"])
    assert [(row["start"], row["labels"]) for row in gold.rows] == [(0, ["a"]), (60, [])]
    assert [(row["start"], row["why"]) for row in gold.undecided] == [(20, "tie on a"), (40, "0 answers")]
    assert gold.undecided[0]["answers"] == {"ani": ["a"], "budi": []}
    two = to_gold(answers, ["a", "b"], at_least=2)
    assert [row["start"] for row in two.rows] == [0]
    decided = to_gold(answers, ["a", "b"], adjudicator="budi")
    assert [(row["start"], row["labels"]) for row in decided.rows] == [(0, ["a", "b"]), (20, []), (60, [])]
    with pytest.raises(NetralError, match="annotators: ani, budi, cici"):
        to_gold(answers, ["a", "b"], adjudicator="dedi")


def rows(*answers):
    return [
        {**{name: getattr(a.origin, name) for name in ("sentence_id", "article_id", "start", "end")}, "sentence": a.sentence}
        | {"annotator": a.annotator, "labels": a.labels}
        for a in answers
    ]


def test_a_wrong_adjudicator_leaves_nothing_written(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", rows(answer("x", 0, "ani", ["warning"])))
    for out, gold in (("out.jsonl", "gold.jsonl"), ("out.jsonl", "a.jsonl")):
        with pytest.raises(NetralError, match=r"gave no answer|the output exists"):
            collect([path], tmp_path / out, Config(), gold=tmp_path / gold, adjudicator="dedi")
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_the_last_answer_of_a_person_counts(tmp_path):
    first, second = answer("x", 0, "ani", ["warning"]), answer("x", 0, "ani", [])
    path = write_jsonl(tmp_path / "a.jsonl", rows(first, second))
    answers, counts = collect([path], tmp_path / "out.jsonl", Config())
    assert [a.labels for a in answers] == [()]
    assert counts["repeated"] == 1


def test_answers_come_in_the_order_of_the_articles_whatever_the_files(tmp_path):
    one = write_jsonl(tmp_path / "1.jsonl", rows(answer("y", 3, "ani", []), answer("x", 1, "ani", ["permission", "warning"])))
    two = write_jsonl(tmp_path / "2.jsonl", rows(answer("x", 1, "budi", [])))
    collect([one, two], tmp_path / "a.jsonl", Config())
    collect([two, one], tmp_path / "b.jsonl", Config())
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    first = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    assert (first["article_id"], first["labels"]) == ("x", ["warning", "permission"])


def test_two_texts_at_one_place_are_refused(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", rows(answer("x", 0, "ani", []), answer("x", 0, "budi", [], sentence="Kalimat lain")))
    with pytest.raises(NetralError, match="ani and budi saw different texts"):
        collect([path], tmp_path / "out.jsonl", Config())
