"""The one reader of outputs: same rows from every kind of file, refusals that name file and row."""

import gzip
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import write_jsonl

from inference.outputs import read as module
from inference.outputs.read import output_rows, scores_of
from netral.errors import NetralError
from netral.io.writers import ARTICLE, ParquetWriter
from training.annotation.labelled import read_labelled
from training.statistics.drift import read_side


def sentence(number):
    return {
        "article_id": f"a{number // 3}",
        "sentence_id": f"a{number // 3}:{number}",
        "start": number,
        "end": number + 4,
        "sentence": "ASN.",
        "labels": ["warning"] if number % 2 else [],
        "scores": {"warning": number / 1000, "permission": 0.5},
        "model": "m",
        "truncated": False,
        "meta": {"outlet": "Warta", "n": number},
        "provenance": None,
        "citations": [],
    }


ARTICLE_ROW = {
    **{key: sentence(0)[key] for key in ("article_id", "labels", "scores", "model", "meta", "provenance", "citations")},
    **{"sentences": 1, "counts": {"warning": 0, "permission": 0}, "strongest": {}, "truncated": 0},
}
ROWS = [sentence(n) for n in range(10)]
LABELS = ("warning", "permission")


def write_parquet(path, rows, level="sentence"):
    path.parent.mkdir(exist_ok=True)
    writer = ParquetWriter(path, LABELS, level)
    for row in rows:
        writer.write(row)
    writer.close()
    return path


@pytest.fixture
def outputs(tmp_path):
    """The same ten rows as lines, packed lines, Parquet, and a folder of a job with two parts and what lies beside them."""
    lines = write_jsonl(tmp_path / "o.jsonl", ROWS)
    (tmp_path / "o.jsonl.gz").write_bytes(gzip.compress(lines.read_bytes()))
    folder = tmp_path / "folder"
    for part, rows in (("part-00001", ROWS[6:]), ("part-00000", ROWS[:6])):
        write_parquet(folder / f"{part}.parquet", rows)
    write_jsonl(folder / "rejects.jsonl", [{"reason": "empty"}])
    (folder / "shards").mkdir()
    pq.write_table(pa.table({"provenance": ["x"], "id": ["a0"]}), folder / "shards" / "000-000000-00000.rows.parquet")
    return [lines, tmp_path / "o.jsonl.gz", write_parquet(tmp_path / "o.parquet", ROWS), folder]


def test_every_kind_of_output_holds_the_same_rows_in_order(outputs, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 4)  # batches end within a part
    for out in outputs:
        assert [row for _, row in output_rows(out, ("sentence_id", "meta"), also=None)] == ROWS
    places = [where.rpartition("/")[2] for where, _ in output_rows(outputs[3], ())]
    assert places == [f"part-00000.parquet:{n}" for n in range(1, 7)] + [f"part-00001.parquet:{n}" for n in range(1, 5)]
    assert [where for where, _ in output_rows(str(outputs[0]), ())][-1] == f"{outputs[0]}:10"


def test_of_parquet_only_the_named_columns_are_read(outputs):
    for out in outputs[2:]:
        assert {tuple(row) for _, row in output_rows(out, ("end", "meta"), ("labels", "not there"))} == {("end", "labels", "meta")}


def test_callers_read_the_same_from_every_kind_of_output(outputs):
    """Those with tests of their own for JSONL alone; a folder of a Ray job holds Parquet files that are no parts."""
    first, *others = [read_labelled([str(out)]) for out in outputs]
    assert [row.sentence_id for row in first] == [row["sentence_id"] for row in ROWS]
    assert others == [first] * 3
    assert read_labelled([str(outputs[3]), str(outputs[3] / "part-00000.parquet")]) == first
    sides = [read_side(out) for out in outputs]
    for side in sides:
        side.name = ""
    assert sides[1:] == [sides[0]] * 3
    assert sides[0].outlets == ["Warta"] * 4


def test_an_output_without_rows_has_none(tmp_path):
    assert list(output_rows(write_jsonl(tmp_path / "o.jsonl", []), ("scores",))) == []
    assert list(output_rows(write_parquet(tmp_path / "o.parquet", []), ("scores",))) == []
    (tmp_path / "blank.jsonl").write_text("\n" + json.dumps(ROWS[0]) + "\n \n")
    assert [where.rpartition(":")[2] for where, _ in output_rows(tmp_path / "blank.jsonl", ())] == ["2"]


def test_articles_are_only_for_callers_that_take_them(tmp_path):
    outs = [write_jsonl(tmp_path / "o.jsonl", [ARTICLE_ROW]), write_parquet(tmp_path / "f" / "part-00000.parquet", [], ARTICLE).parent]
    for out in outs:
        with pytest.raises(NetralError, match="holds articles") as caught:
            list(output_rows(out, ("scores",)))
        assert caught.value.next_step == "label with --level sentence"
    assert [row for _, row in output_rows(outs[0], ("labels",), articles=True)] == [ARTICLE_ROW]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"scores": 3}, "scores is no object"),
        ({"meta": "kata"}, "meta is no object"),
        ({"meta": "[1]"}, "meta is no object"),
        ({"labels": "warning"}, "labels is no list"),
        ({"start": "x"}, "start is no whole number"),
        ({"sentence": None}, "sentence is no text"),
        ({"provenance": "a.jsonl:3"}, "provenance is no object"),
    ],
)
def test_a_row_of_something_else_is_named(tmp_path, change, detail):
    needs = ("labels", "scores", "meta", "start", "sentence", "provenance")
    out = write_jsonl(tmp_path / "o.jsonl", [ROWS[0], ROWS[1] | change])
    with pytest.raises(NetralError) as caught:
        list(output_rows(out, needs))
    assert caught.value.message == f"{out}:2: not a row of `netral label` ({detail})"
    (name,) = change
    missing = {key: value for key, value in ROWS[1].items() if key != name}
    with pytest.raises(NetralError, match=rf":2: .*\({name} is missing\)"):
        list(output_rows(write_jsonl(tmp_path / "o.jsonl", [ROWS[0], missing]), needs))
    assert len(list(output_rows(out, ("model",)))) == 2  # who does not need it does not look


@pytest.mark.parametrize("line", ["rubbish", "[1]", "[" * 100_000, '{"a": "\\', "3"])
def test_a_line_that_is_no_object_is_named(tmp_path, line):
    (tmp_path / "o.jsonl").write_text(json.dumps(ROWS[0]) + "\n" + line + "\n")
    with pytest.raises(NetralError, match=r"o\.jsonl:2: not a row of `netral label` \(no JSON object\)"):
        list(output_rows(tmp_path / "o.jsonl", ()))


def test_a_line_without_an_end_and_a_file_that_is_cut_are_named(outputs, tmp_path, monkeypatch):
    packed = gzip.compress(random.Random(0).randbytes(1 << 16).hex().encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(NetralError, match=r"cut\.jsonl\.gz:1: .*truncated or corrupt"):
        list(output_rows(tmp_path / "cut.jsonl.gz", ()))
    monkeypatch.setattr(module, "_MAX_LINE", 1000)
    write_jsonl(outputs[0], [ROWS[0], ROWS[1] | {"sentence": "x" * 1000}])
    with pytest.raises(NetralError, match=r"o\.jsonl:2: .*record too large"):
        list(output_rows(outputs[0], ()))


def test_what_is_no_output_at_all_says_what_to_pass(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"text": ["ASN."]}), tmp_path / "b.parquet")
    for name, message in [
        ("nowhere.jsonl", "no such output"),
        ("empty", "a folder without part-"),
        ("a.parquet", "cannot be read as Parquet"),
        ("b.parquet", r"b\.parquet:1: not a row of `netral label` \(scores is missing\)"),
    ]:
        with pytest.raises(NetralError, match=message) as caught:
            list(output_rows(tmp_path / name, ("scores",)))
        assert "netral label --out" in caught.value.next_step


def test_scores_come_in_the_order_asked_for_or_not_at_all():
    assert scores_of("o:1", {"scores": {"a": 1, "b": 0.5}}, ("b", "a")) == [0.5, 1.0]
    for scores in ({"a": 0.1}, {"a": 0.1, "b": None}):
        with pytest.raises(NetralError, match="o:1: no score for b"):
            scores_of("o:1", {"scores": scores}, ("b",))
