"""Roll-up of sentences into articles, against hand-worked rows and a plain second way."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.jobs.rollup import check_level, to_rows
from inference.jobs.rows import Tally
from inference.jobs.shards import cut
from netral.errors import NetralError
from netral.records import Article, Prediction, Reject, Sentence

LABELS = ("warning", "permission")


def cited(canonical):
    return {"canonical": canonical, "type": canonical.split("/")[1], "back_reference": False}


def sentence(article, number, citations=(), file="a.jsonl"):
    return Sentence(
        file, 1, article, f"{article}:{number}", number * 10, number * 10 + 4, f"S{number}.", {"n": number}, citations=citations
    )


def prediction(warning, permission, truncated=False):
    scores = {"warning": warning, "permission": permission}
    return Prediction(tuple(label for label in LABELS if scores[label] >= 0.5), scores, truncated)


def rolled(labelled, tally=None):
    return list(to_rows(labelled, "article", LABELS, "m", tally or Tally()))


def test_an_article_worked_by_hand():
    uu, skb = cited("id/uu/2023/20"), cited("id/skb/2022/2")
    reject = Reject("a.jsonl", 1, "backend_failed", "", "x:3")
    tally = Tally()
    found = rolled(
        [
            (sentence("x", 1, (uu, skb)), prediction(0.2, 0.1)),
            (sentence("x", 2, (uu,)), prediction(0.9, 0.1, truncated=True)),
            reject,
            (sentence("x", 4), prediction(0.9, 0.4)),
            (sentence("y", 1), prediction(0.1, 0.7)),
        ],
        tally,
    )
    assert found[0] is reject
    assert found[1] == {
        "article_id": "x",
        "labels": ["warning"],
        "scores": {"warning": 0.9, "permission": 0.4},
        "sentences": 3,
        "counts": {"warning": 2, "permission": 0},
        "strongest": {
            "warning": {"sentence_id": "x:2", "start": 20, "end": 24, "sentence": "S2.", "score": 0.9},
            "permission": {"sentence_id": "x:4", "start": 40, "end": 44, "sentence": "S4.", "score": 0.4},
        },
        "truncated": 1,
        "model": "m",
        "meta": {"n": 1},
        "provenance": None,
        "citations": [
            {"canonical": "id/uu/2023/20", "type": "uu", "mentions": 2},
            {"canonical": "id/skb/2022/2", "type": "skb", "mentions": 1},
        ],
    }
    assert found[2]["labels"] == ["permission"]
    assert len(found) == 3
    assert (tally.article_rows, dict(tally.article_labels)) == (2, {"warning": 1, "permission": 1})


def test_sentence_records_of_two_files_are_two_articles_and_rows_come_as_articles_end():
    rows = iter([(sentence("x", 1), prediction(0, 0)), (sentence("x", 2, file="b.jsonl"), prediction(0, 0))])
    found = to_rows(rows, "article", LABELS, "m", Tally())
    assert next(found)["strongest"]["warning"]["sentence_id"] == "x:1"
    assert next(rows, None) is None  # one sentence further was read, and no more was needed
    assert [row["sentences"] for row in found] == [1]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 1000), st.integers(0, 1000)), max_size=30))
def test_rolling_up_is_counting_over_runs_of_one_article(drawn):
    labelled = [(sentence(a, i), prediction(w / 1000, p / 1000)) for i, (a, w, p) in enumerate(drawn)]
    runs = []
    for each in labelled:
        if not runs or runs[-1][0][0].article_id != each[0].article_id:
            runs.append([])
        runs[-1].append(each)
    found = rolled(labelled)
    assert [row["article_id"] for row in found] == [run[0][0].article_id for run in runs]
    for row, run in zip(found, runs, strict=True):
        assert row["sentences"] == len(run)
        for label in LABELS:
            best = max(run, key=lambda each: each[1].scores[label])
            assert row["scores"][label] == best[1].scores[label]
            assert row["strongest"][label]["sentence_id"] == best[0].sentence_id
            assert row["counts"][label] == sum(label in each[1].labels for each in run)
            assert (label in row["labels"]) == (row["counts"][label] > 0)
    assert json.dumps(found)


def test_sentences_pass_as_rows_of_their_own():
    (row,) = to_rows([(sentence("x", 1), prediction(0.9, 0))], "sentence", LABELS, "m", Tally())
    assert (row["sentence_id"], row["labels"]) == ("x:1", ["warning"])


def test_an_unknown_level_is_refused():
    with pytest.raises(NetralError, match="paragraph"):
        check_level("paragraph")


def test_a_shard_keeps_the_sentence_records_of_an_article_together():
    rows = [sentence("x", i) for i in range(5)] + [sentence("y", 1), Reject("a.jsonl", 9, "empty", ""), sentence("y", 2)]
    rows += [sentence("y", 3, file="b.jsonl"), Article("b.jsonl", 2, "z", "text")]
    shards = list(cut(rows, 1, lambda: 0))
    assert [row for shard in shards for row in shard.rows] == rows
    assert [len(shard.rows) for shard in shards] == [5, 3, 1, 1]


def test_a_crawl_in_which_every_sentence_names_one_article_is_cut_all_the_same(monkeypatch):
    monkeypatch.setattr("inference.jobs.shards._ARTICLE_BYTES", 1000)
    rows = [sentence("x", i) for i in range(100)]
    shards = list(cut(rows, 1, lambda: 0))
    assert [row for shard in shards for row in shard.rows] == rows
    assert max(len(shard.rows) for shard in shards) < 12
