"""Counts over outputs: hand-worked groups, intervals beside scipy's, pictures whose dots stand where the shares are."""

import csv
import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from support import write_jsonl
from typer.testing import CliRunner

from inference.outputs import stats as module
from inference.outputs.stats import UNKNOWN, count, group_of, rows, table, wilson, write_csv
from inference.outputs.stats_plot import plot
from netral.cli import app
from netral.errors import NetralError
from netral.io.writers import ParquetWriter


def sentence_row(article, number, labels=(), file="a.jsonl", url=None, **meta):
    return {
        "article_id": article,
        "sentence_id": f"{article}:{number}",
        "start": 0,
        "end": 4,
        "sentence": "ASN.",
        "labels": list(labels),
        "scores": {"warning": 0.9 if "warning" in labels else 0.1, "permission": 0.9 if "permission" in labels else 0.1},
        "model": "m",
        "truncated": False,
        "meta": meta,
        "provenance": {"file": file, "row": 1, "sha256": "0", "offset": None, "url": url, "crawled_at": None},
        "citations": [],
    }


def article_row(article, sentences, counts, **meta):
    row = {key: value for key, value in sentence_row(article, 1, **meta).items() if key in ("article_id", "model", "meta", "provenance")}
    return row | {"labels": [k for k, n in counts.items() if n], "sentences": sentences, "counts": counts}


ROWS = [
    sentence_row("x", 1, ["warning"], outlet="Warta A", date="2024-11-18"),
    sentence_row("x", 2, ["warning", "permission"], outlet="Warta A", date="2024-11-18"),
    sentence_row("x", 3, outlet="Warta A", date="2024-11-18"),
    sentence_row("y", 1, outlet="Warta A", date="2024-11-25"),
    sentence_row("z", 1, ["permission"], url="https://www.warta-b.example/1"),
]


def test_groups_worked_by_hand(tmp_path):
    found = count([str(write_jsonl(tmp_path / "o.jsonl", ROWS))], ["outlet", "week"])
    whole = found.groups["all"]["all"]
    assert (whole.articles, whole.sentences, dict(whole.with_label), dict(whole.labelled)) == (
        3,
        5,
        {"warning": 1, "permission": 2},
        {"warning": 2, "permission": 2},
    )
    assert {name: group.articles for name, group in found.groups["outlet"].items()} == {"Warta A": 2, "warta-b.example": 1}
    assert list(found.groups["week"]) == ["2024-W47", "2024-W48", UNKNOWN]
    line = next(row for row in rows(found) if (row["group"], row["label"]) == ("Warta A", "warning"))
    assert line == {
        **{"by": "outlet", "group": "Warta A", "label": "warning", "articles": 2, "articles_with_label": 1, "article_share": 0.5},
        **dict(zip(("low", "high"), wilson(1, 2), strict=True)),
        **{"sentences": 4, "sentences_with_label": 2, "sentence_share": 0.5, "small": 1},
    }


def test_articles_and_sentences_give_the_same_counts_from_every_kind_of_file(tmp_path):
    of_articles = [
        article_row("x", 3, {"warning": 2, "permission": 1}, outlet="Warta A", date="2024-11-18"),
        article_row("y", 1, {"warning": 0, "permission": 0}, outlet="Warta A", date="2024-11-25"),
        article_row("z", 1, {"warning": 0, "permission": 1}, url="https://www.warta-b.example/1"),
    ]
    (tmp_path / "folder").mkdir()
    writer = ParquetWriter(tmp_path / "folder" / "part-00000.parquet", ["warning", "permission"])
    for row in ROWS[:4]:
        writer.write(row)
    writer.close()
    writer = ParquetWriter(tmp_path / "folder" / "part-00001.parquet", ["warning", "permission"])
    writer.write(ROWS[4])
    writer.close()
    write_jsonl(tmp_path / "folder" / "rejects.jsonl", [{"reason": "empty"}])
    outputs = [write_jsonl(tmp_path / "s.jsonl", ROWS), write_jsonl(tmp_path / "a.jsonl", of_articles), tmp_path / "folder"]
    first, *others = [count([str(out)], ["outlet", "week"]) for out in outputs]
    assert others == [first, first]
    both = count([str(outputs[0]), str(outputs[2])], [])
    assert (both.groups["all"]["all"].articles, both.repeated) == (6, 3)


@pytest.mark.parametrize(
    ("by", "meta", "group"),
    [
        ("month", {"date": "2024-11-18T07:00:00+07:00"}, "2024-11"),
        ("day", {"Tanggal": "Senin, 18 November 2024"}, "2024-11-18"),
        ("week", {"date": "2024-12-30"}, "2025-W01"),
        ("year", {"date": "kemarin"}, UNKNOWN),
        ("region", {"provinsi": "Jawa Timur"}, "Jawa Timur"),
        ("outlet", {"media": "Warta", "url": "https://b.example/"}, "Warta"),
        ("outlet", {"url": "https://[broken"}, UNKNOWN),
        ("topic", {"topic": ["a", 1]}, '["a", 1]'),
        ("meta.week", {"week": 3}, "3"),
        ("topic", {"topic": " a\x1b[31m\n b\u202e "}, "a [31m b"),
        ("topic", {"topic": "x" * 500}, "x" * 100),
        ("topic", {"topic": None}, UNKNOWN),
    ],
)
def test_the_group_of_an_article(by, meta, group):
    assert group_of(by, meta) == group


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_are_those_of_scipy(n, of, confidence):
    n = min(n, of)
    theirs = binomtest(n, of).proportion_ci(confidence, method="wilson")
    assert wilson(n, of, confidence) == pytest.approx((theirs.low, theirs.high), abs=6e-5)


def test_small_is_where_the_interval_is_wide():
    low, high = wilson(module.SMALL // 2, module.SMALL)
    assert high - low == pytest.approx(0.34, abs=0.01)


def test_a_table_shows_the_largest_groups_and_the_latest_dates(tmp_path):
    many = [sentence_row(f"{g}-{i}", 1, outlet=f"o{g:02}", date=f"2024-01-{g + 1:02}") for g in range(20) for i in range(g + 1)]
    found = count([str(write_jsonl(tmp_path / "o.jsonl", many))], ["outlet", "day"])
    assert [row[0] for row in table(found, "outlet", 2)] == ["outlet", "o19*", "o18*"]
    assert [row[0] for row in table(found, "day", 2)] == ["day", "2024-01-19*", "2024-01-20*"]


def test_the_csv_is_no_program(tmp_path):
    names = ["=1+1", "@x", 'a "b", c', "warta"]
    hostile = [sentence_row(str(i), 1, outlet=name) for i, name in enumerate(names)]
    found = count([str(write_jsonl(tmp_path / "o.jsonl", hostile))], ["outlet"])
    write_csv(found, tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(newline="") as stream:
        groups = {row["group"] for row in csv.DictReader(stream)}
    assert groups == {"all", "'=1+1", "'@x", 'a "b", c', "warta"}


def test_the_dots_stand_where_the_shares_are(tmp_path):
    rng = [(40, 10), (50, 25), (3, 3)]
    made = [
        sentence_row(f"{g}-{i}", 1, ["warning"] if i < n else [], outlet=f"<o{g}>&") for g, (of, n) in enumerate(rng) for i in range(of)
    ]
    found = count([str(write_jsonl(tmp_path / "o.jsonl", made))], ["outlet"])
    root = ET.fromstring(plot(found))  # noqa: S314 - our own; malformed XML fails here
    space = "{http://www.w3.org/2000/svg}"
    marks = [each for each in root.iter(f"{space}g") if "warning:" in each[0].text]
    assert ["small" in each.get("class") for each in marks] == [False, False, True]
    axis = wilson(25, 50)[1]
    top = -(-axis * 10 // 1) / 10
    for mark, (of, n) in zip(marks, [rng[1], rng[0], rng[2]], strict=True):
        left, width = 220, 190
        dot = (float(mark[2].get("cx")) - left) / width * top
        assert dot == pytest.approx(min(n / of, top), abs=0.001)
        low, high = ((float(mark[1].get(x)) - left) / width * top for x in ("x1", "x2"))
        assert (low, high) == pytest.approx([min(end, top) for end in wilson(n, of)], abs=0.001)
    assert any("<o1>& (50)" in (each.text or "") for each in root.iter(f"{space}text"))
    every = [float(each.get("cx")) for each in root.iter(f"{space}circle")]
    assert max(every) <= float(root.get("viewBox").split()[2])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rubbish", ":1: not a row"),
        ('{"sentence":"ASN."}', "labels is missing"),
        (json.dumps(sentence_row("x", 1) | {"scores": 3}), ":1: not a row"),
        ("", "no labelled sentence"),
    ],
)
def test_other_files_are_refused_with_their_row(tmp_path, line, message):
    (tmp_path / "o.jsonl").write_text(line)
    with pytest.raises(NetralError, match=message):
        count([str(tmp_path / "o.jsonl")], [])


def test_what_cannot_be_counted_together_is_refused(tmp_path, monkeypatch):
    one = write_jsonl(tmp_path / "a.jsonl", ROWS)
    two = write_jsonl(tmp_path / "b.jsonl", [sentence_row("q", 1) | {"scores": {"other": 0.1}}])
    with pytest.raises(NetralError, match="other labels"):
        count([str(one), str(two)], [])
    with pytest.raises(NetralError, match="no such output"):
        count([str(tmp_path / "nowhere")], [])
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    with pytest.raises(NetralError, match="Parquet"):
        count([str(tmp_path / "c.parquet")], [])
    monkeypatch.setattr(module, "MAX_GROUPS", 1)
    with pytest.raises(NetralError, match="more than 1 groups"):
        count([str(one)], ["day"])


def test_the_command(tmp_path):
    run = CliRunner()
    hostile = [*ROWS, sentence_row("w", 1, outlet="[/bold] [red]x")]
    out = write_jsonl(tmp_path / "o.jsonl", hostile)
    made = [str(tmp_path / "s.csv"), "--plot", str(tmp_path / "s.svg")]
    found = run.invoke(app, ["stats", str(out), "--out", *made])
    assert found.exit_code == 0, found.output
    assert "Warta A*" in found.stdout
    assert "[/bold] [red]x*" in found.stdout
    assert "\x1b" not in found.stdout
    assert "region: no article says it" in found.stderr
    before = [(tmp_path / name).read_bytes() for name in ("s.csv", "s.svg")]
    assert isinstance(run.invoke(app, ["stats", str(out), "--out", *made]).exception, NetralError)
    assert run.invoke(app, ["stats", str(out), "--overwrite", "--out", *made]).exit_code == 0
    assert [(tmp_path / name).read_bytes() for name in ("s.csv", "s.svg")] == before
    assert isinstance(run.invoke(app, ["stats", str(out), "--out", str(out), "--overwrite"]).exception, NetralError)
