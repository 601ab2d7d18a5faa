"""The labelling loop through the command line: label, export, answers of two people, import, agreement, prepare, errors."""

import csv
import json

import pyarrow.parquet as pq
import pytest
from support import ROOT, read_jsonl, write_jsonl
from typer.testing import CliRunner

from netral.cli import app
from netral.errors import NetralError


def netral(*args, refused=False):
    """Run a command in this process; `main` turns its NetralError into exit code 2, which test_command_line.py looks at."""
    found = CliRunner().invoke(app, list(map(str, args)))
    assert isinstance(found.exception, NetralError if refused else type(None)), found.exception
    return str(found.exception) if refused else found.stderr


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, tiny_model, small_articles):
    out = tmp_path_factory.mktemp("labelled") / "out.jsonl"
    netral("label", small_articles, "--model", tiny_model, "--backend", "fake", "--out", out)
    return out


def answer_sheet(path, who, gold, mistakes=()):
    """Fill in an exported sheet from the gold labels; a mistake turns `warning` round."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for number, row in enumerate(rows):
        labels = set(gold[row["article_id"], int(row["start"]), int(row["end"])])
        if number in mistakes:
            labels ^= {"warning"}
        row |= {name: "x" if name.removeprefix("label ") in labels else "" for name in row if name.startswith("label ")}
        row["annotator"] = who
    with path.with_name(f"{who}.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path.with_name(f"{who}.csv")


def test_from_the_output_of_label_to_a_data_set(tmp_path, labelled, tiny_model, small_articles, gold_labels):
    gold = {(row["article_id"], row["start"], row["end"]): row["labels"] for row in gold_labels}
    sentences = {(row["article_id"], row["start"], row["end"]) for row in read_jsonl(labelled)}
    # The gold corpus knows the labels of all but the few sentences that cleaning cuts differently.
    unknown = write_jsonl(
        tmp_path / "unknown.jsonl", [r for r in read_jsonl(labelled) if (r["article_id"], r["start"], r["end"]) not in gold]
    )
    assert len(sentences - gold.keys()) < 5
    sheet = tmp_path / "tasks.csv"
    said = netral("annotate", "export", labelled, "--format", "csv", "--n", 80, "--model", tiny_model, "--exclude", unknown, "--out", sheet)
    assert "80 of" in said
    assert "24 random" in said
    again = tmp_path / "again.csv"
    netral("annotate", "export", labelled, "--format", "csv", "--n", 80, "--model", tiny_model, "--exclude", unknown, "--out", again)
    assert again.read_bytes() == sheet.read_bytes()

    files = [answer_sheet(sheet, "ani", gold), answer_sheet(sheet, "budi", gold, mistakes=(3, 40))]
    answers, labels = tmp_path / "answers.jsonl", tmp_path / "labels.jsonl"
    said = netral("annotate", "import", *files, "--out", answers, "--gold", labels)
    assert "160 answers of 2 annotators on 80 sentences" in said
    assert "78 sentences decided" in said
    rows = read_jsonl(labels)
    assert len(rows) == 78
    assert all(row["labels"] == gold[row["article_id"], row["start"], row["end"]] for row in rows)
    assert len(read_jsonl(tmp_path / "labels.undecided.jsonl")) == 2

    adjudicate, report = tmp_path / "adjudicate.csv", tmp_path / "agreement.json"
    said = netral("annotate", "agreement", answers, "--out", adjudicate, "--format", "csv", "--report", report)
    assert "2 to adjudicate" in said
    figures = json.loads(report.read_text())
    assert figures["labels"]["permission"]["alpha"] == 1
    assert 0.5 < figures["labels"]["warning"]["alpha"] < 1
    assert figures["pairs"][0]["labels"]["warning"]["agreement"] == 0.975

    decided = answer_sheet(adjudicate, "cici", gold)
    netral("annotate", "import", answers, decided, "--adjudicator", "cici", "--out", answers, "--gold", labels, "--overwrite")
    assert len(read_jsonl(labels)) == 80

    data = tmp_path / "data"
    netral("prepare", small_articles, "--out", data, "--set", f"prepare.gold={labels}")
    prepared = [row for name in ("train", "validation", "test") for row in pq.read_table(data / f"{name}.parquet").to_pylist()]
    assert {(r["article_id"], r["start"], r["end"]): r["labels"] for r in prepared} == {
        (r["article_id"], r["start"], r["end"]): r["labels"] for r in read_jsonl(labels)
    }
    # The label file holds the sentences themselves, so that it can be prepared without the articles.
    netral("prepare", labels, "--out", tmp_path / "alone")
    said = netral("annotate", "errors", "--data", data, "--out", tmp_path / "errors.jsonl", "--top", 3)
    assert "80 sentences ranked" in said

    # The next round: nothing that is labelled comes again.
    netral("annotate", "export", labelled, "--format", "netral", "--n", 50, "--exclude", answers, "--out", tmp_path / "next.jsonl")
    seen = {(r["article_id"], r["start"], r["end"]) for r in read_jsonl(answers)}
    assert not seen & {(r["article_id"], r["start"], r["end"]) for r in read_jsonl(tmp_path / "next.jsonl")}


def test_parquet_and_jsonl_output_give_the_same_tasks(tmp_path, labelled, tiny_model, small_articles):
    netral("label", small_articles, "--model", tiny_model, "--backend", "fake", "--out", tmp_path / "out.parquet")
    for name, source in (("a", labelled), ("b", tmp_path / "out.parquet")):
        netral("annotate", "export", source, "--format", "label-studio", "--n", 20, "--out", tmp_path / f"{name}.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    tasks = json.loads((tmp_path / "a.json").read_text())
    by_article = {}
    for row in read_jsonl(labelled):
        by_article.setdefault(row["article_id"], []).append(row["sentence"])
    for task in tasks:
        article = by_article[task["data"]["article_id"]]
        at = article.index(task["data"]["text"])
        assert task["data"]["before"] == " ".join(article[max(at - 2, 0) : at])
        assert task["data"]["after"] == " ".join(article[at + 1 : at + 3])
    assert '<Choice value="warning" hotkey="1"/>' in (tmp_path / "a.interface.xml").read_text()


def test_mistakes_are_refused_with_their_place(tmp_path, labelled, tiny_model, small_articles):
    plain = write_jsonl(tmp_path / "plain.jsonl", [{"article_id": "a", "sentence": "Kata dia."}])
    mixed = write_jsonl(tmp_path / "mixed.jsonl", [{**row, "model": str(i)} for i, row in enumerate(read_jsonl(labelled)[:2])])
    out = ["--out", tmp_path / "o.jsonl"]
    export = ["annotate", "export", "--format", "netral", "--n", 5, *out]
    for args, message in [
        ([*export, plain], "plain.jsonl:1: not a row of `netral label`"),
        ([*export, small_articles], "articles.jsonl:1: not a row of `netral label`"),
        ([*export, mixed], "mixed.jsonl:2: labelled by another model"),
        ([*export, labelled, "--model", ROOT / "inference/default_model"], "labelled by another model"),
        ([*export, labelled, "--exclude", write_jsonl(tmp_path / "x.jsonl", [{}])], "x.jsonl:1: no article_id"),
        (["annotate", "export", labelled, "--format", "brat", "--n", 5, *out], "--format brat: unknown"),
        (["annotate", "export", labelled, "--format", "csv", "--n", 5, "--set", "annotate.random=0.9", *out], "must add up to 1"),
        (["annotate", "import", tmp_path / "no.json", *out], "no.json: no such file"),
        (["annotate", "agreement", tmp_path / "no.jsonl", *out], "no.jsonl: no such file"),
        (["annotate", "errors", "--data", tmp_path, *out], "no prepared data set"),
    ]:
        assert message in netral(*args, refused=True)
    assert not (tmp_path / "o.jsonl").exists()
