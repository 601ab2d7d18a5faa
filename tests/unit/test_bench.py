"""The parts of `make bench` that decide what a figure means."""

import json
from itertools import islice

import numpy as np
import pytest
from support import GOLD, read_jsonl

from inference.bench import peak, report, systems, whole_job
from inference.bench.common import gold_sentences, interleaved
from netral.errors import NetralError


def test_operations_of_one_layer(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 2, "intermediate_size": 8, "num_hidden_layers": 1}))
    # 3 tokens: four 2x2 projections, up and down of 2x8, queries with keys and weights with values, the pooler.
    expected = 2 * (3 * (4 * 4 + 2 * 16) + 2 * 3 * 3 * 2 + 4)
    assert peak.encoder_operations(tmp_path, [3]) == expected
    assert peak.encoder_operations(tmp_path, [3, 3]) == 2 * expected


def test_tables_go_between_the_marks(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    found = report.Report()
    found.add("Title", [["a", "b"], ["1|2", "3"]], "A note.")
    found.add("Empty", [["only a header"]])
    found.write(page)
    found.write(page)
    expected = f"before\n{report.BEGIN}\n\n### Title\n\n| a | b |\n| --- | --- |\n| 1\\|2 | 3 |\n\nA note.\n\n{report.END}\nafter\n"
    assert page.read_text(encoding="utf-8") == expected
    assert "Title" in capsys.readouterr().out


def test_a_page_without_marks_is_refused(tmp_path):
    with pytest.raises(NetralError, match="no place for the figures"):
        report.Report().write(tmp_path / "none.md")


def test_systems_run_in_turn_and_the_first_round_does_not_count():
    order = []
    seconds = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2)
    assert order == ["a", "b"] * 3
    assert set(seconds) == {"a", "b"}


def test_no_sentence_of_the_repeated_articles_stands_twice():
    rows = list(islice(whole_job.gold_articles(), 600))
    assert len({row["id"] for row in rows}) == 600
    first, again = rows[0]["text"], rows[len(read_jsonl(GOLD / "articles.jsonl"))]["text"]
    assert first != again
    assert abs(len(again) / len(first) - 1) < 0.05


def test_sorted_loop_restores_the_order():
    class Tokenizer:
        def __call__(self, sentences, truncation):
            return {"input_ids": [[len(s)] * len(s) for s in sentences]}

        def pad(self, rows, return_tensors):
            ids = rows["input_ids"]
            longest = max(map(len, ids))
            padded = np.array([row + [0] * (longest - len(row)) for row in ids])
            return {"input_ids": padded, "attention_mask": (padded > 0).astype(int)}

    loop = systems._sorted_loop(Tokenizer(), lambda ids, mask: ids.max(axis=1, keepdims=True) * 0.1)
    sentences = ["x" * (1 + i * 7 % 50) for i in range(100)]
    expected = systems.sigmoid(np.array([[len(s) * 0.1] for s in sentences]))
    np.testing.assert_allclose(loop.probabilities(sentences), expected)


def test_gold_sentences_differ():
    sentences = gold_sentences(100)
    assert len(sentences) == len(set(sentences)) == 100
