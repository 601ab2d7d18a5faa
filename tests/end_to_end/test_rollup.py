"""`label --level article`: one result in every kind of output, and what other programs read of it."""

import json

import pyarrow.parquet as pq
import pytest
from support import read_jsonl, write_jsonl
from typer.testing import CliRunner

from inference.jobs.job import label
from inference.outputs.stats import count
from inference.outputs.verify import verify
from netral.cli import app
from netral.config import load_config
from netral.errors import NetralError
from netral.io.writers import article_schema

SMALL = load_config(None, ["label.shard_bytes=2000"])


@pytest.fixture(scope="module")
def crawl(tmp_path_factory, gold_articles):
    """Articles, the sentences of articles, and rows that are rejected."""
    folder = tmp_path_factory.mktemp("crawl")
    articles = [{key: row[key] for key in ("id", "title", "text", "date")} for row in gold_articles[:6]]
    write_jsonl(folder / "a.jsonl", [*articles[:3], {"text": 5}, *articles[3:]])
    rows = [{"sentence": f"ASN nomor {i} dilarang ikut kampanye pasangan calon.", "article_id": f"s{i // 30}"} for i in range(90)]
    write_jsonl(folder / "b.jsonl", [*rows[:40], {"sentence": ""}, *rows[40:], {"sentence": "Tanpa artikel."}])
    return folder


def run(crawl, out, model, **kwargs):
    kwargs = {"level": "article", "backend": "fake", "model": model, **kwargs}
    return label([str(crawl)], str(out), SMALL, **kwargs)


def test_one_row_an_article_in_every_output(tmp_path, crawl, tiny_model):
    found = run(crawl, tmp_path / "o.jsonl", tiny_model)
    rows = read_jsonl(tmp_path / "o.jsonl")
    assert [row["article_id"] for row in rows[6:9]] == ["s0", "s1", "s2"]
    assert [row["sentences"] for row in rows[6:]] == [30, 30, 30, 1]
    assert found["counts"]["article_rows"] == len(rows) == 10

    run(crawl, tmp_path / "o.parquet", tiny_model)
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.schema.equals(article_schema(list(rows[0]["scores"])), check_metadata=True)
    assert [{**row, "meta": json.loads(row["meta"])} for row in table.to_pylist()] == rows

    folder = run(crawl, f"{tmp_path / 'o'}/", tiny_model, workers=2)
    parts = sorted((tmp_path / "o").glob("part-*"))
    assert len(parts) > 3
    assert [{**row, "meta": json.loads(row["meta"])} for part in parts for row in pq.read_table(part).to_pylist()] == rows
    assert folder["counts"] == found["counts"]
    assert (tmp_path / "o" / "rejects.jsonl").read_bytes() == (tmp_path / "o.jsonl.rejects.jsonl").read_bytes()

    args = ["label", str(crawl), "--out", "-", "--level", "article", "--backend", "fake", "--model", str(tiny_model)]
    shown = CliRunner().invoke(app, args)
    assert shown.stdout == (tmp_path / "o.jsonl").read_text(encoding="utf-8")
    assert "10 articles; with a label" in shown.stderr


def test_the_articles_are_those_of_the_sentences(tmp_path, crawl, tiny_model):
    run(crawl, tmp_path / "s.jsonl", tiny_model, level="sentence")
    run(crawl, tmp_path / "a.jsonl", tiny_model)
    sentences = read_jsonl(tmp_path / "s.jsonl")
    for row in read_jsonl(tmp_path / "a.jsonl"):
        mine = [each for each in sentences if each["article_id"] == row["article_id"]]
        assert row["labels"] == [name for name in row["scores"] if any(name in each["labels"] for each in mine)]
        for name, strongest in row["strongest"].items():
            best = max(mine, key=lambda each: each["scores"][name])
            assert strongest == {key: best[key] for key in ("sentence_id", "start", "end", "sentence")} | {"score": best["scores"][name]}
        cited = [citation["canonical"] for each in mine for citation in each["citations"]]
        assert {each["canonical"]: each["mentions"] for each in row["citations"]} == {name: cited.count(name) for name in cited}
        assert row["provenance"] == mine[0]["provenance"]
        assert row["meta"] == mine[0]["meta"]
    by = ["month", "outlet"]
    assert count([str(tmp_path / "a.jsonl")], by) == count([str(tmp_path / "s.jsonl")], by)


def test_another_level_is_other_work(tmp_path, crawl, tiny_model):
    for out in (tmp_path / "o.jsonl", f"{tmp_path / 'o'}/"):
        run(crawl, out, tiny_model)
        assert run(crawl, out, tiny_model)["unchanged"]
        with pytest.raises(NetralError, match=r"level|exists"):
            run(crawl, out, tiny_model, level="sentence")
    with pytest.raises(NetralError, match="holds articles"):
        list(verify(str(tmp_path / "o.jsonl")))
    with pytest.raises(NetralError, match="holds articles"):
        list(verify(f"{tmp_path / 'o'}/"))


def test_duckdb_reads_both_levels_in_the_documented_line(tmp_path, crawl, tiny_model):
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed: pip install duckdb")
    run(crawl, f"{tmp_path / 'labelled'}/", tiny_model, level="sentence")
    run(crawl, f"{tmp_path / 'articles'}/", tiny_model)
    database = duckdb.connect(config={"threads": 1})
    line = "SELECT label, count(*) FROM (SELECT unnest(labels) AS label FROM 'labelled/part-*.parquet') GROUP BY label ORDER BY label"
    found = dict(database.sql(line.replace("labelled/", f"{tmp_path}/labelled/")).fetchall())
    counts = json.loads((tmp_path / "labelled" / "summary.json").read_text())["counts"]["labels"]
    assert found == counts
    line = "SELECT article_id, strongest.warning.sentence FROM 'articles/part-*.parquet' WHERE list_contains(labels, 'warning')"
    rows = database.sql(line.replace("articles/", f"{tmp_path}/articles/")).fetchall()
    wanted = [row for part in sorted((tmp_path / "articles").glob("part-*")) for row in pq.read_table(part).to_pylist()]
    assert sorted(rows) == sorted(
        (row["article_id"], row["strongest"]["warning"]["sentence"]) for row in wanted if "warning" in row["labels"]
    )
    assert rows
