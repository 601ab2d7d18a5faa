"""compare, decide, review, drift and the gates of evaluate, as a user types them, on a tiny model."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from support import read_jsonl, write_jsonl
from typer.testing import CliRunner

from inference import Predictor
from netral.cli import app
from netral.errors import NetralError
from netral.model_folder import open_model_folder

QUICK = ("--set", "evaluate.bootstrap_samples=50", "--set", "decision.bootstrap_samples=20")


def netral(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny_model, small_data):
    """The tiny model with a calibration that spreads its scores, which lie all within a hundredth."""
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("spread") / "model")
    with Predictor(tiny_model) as predictor:
        logits = predictor.logits(pq.read_table(small_data / "validation.parquet")["sentence"].to_pylist())
    decision = json.loads((folder / "decision.json").read_text())
    for k, label in enumerate(decision["labels"]):
        slope = 2 / float(logits[:, k].std())
        decision["calibration"][label] = {"slope": slope, "offset": -slope * float(np.quantile(logits[:, k], 0.7))}
        decision["thresholds"][label] = 0.5
    (folder / "decision.json").write_text(json.dumps(decision))
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory, model, small_data):
    out = tmp_path_factory.mktemp("report") / "report"
    found = netral("evaluate", model, "--data", small_data, "--out", out, *QUICK)
    assert found.exit_code == 0, found.output
    return out


@pytest.fixture(scope="module")
def decided(tmp_path_factory, model, small_data):
    """The model with other thresholds and review bands."""
    model = shutil.copytree(model, tmp_path_factory.mktemp("decided") / "model")
    goals = ("--goal", "recall=0.9", "--goal", "warning:precision=0.9", "--goal", "review=50/day")
    found = netral("decide", model, *goals, "--per-day", 500, "--data", small_data, *QUICK)
    assert found.exit_code == 0, found.output
    assert "not promised" in found.output
    return model


def test_the_report_holds_every_part_with_intervals(report, small_data):
    found = json.loads((report / "report.json").read_text())
    figures = found["systems"]["model"]["labels"]["warning"]
    for name in ("f1", "precision", "recall"):
        low, high = figures[f"{name}_interval"]
        assert low <= figures[name] <= high
    assert set(found["slices"]) == {"outlet", "year", "part", "length", "citation", "similarity", "topic", "noise"}
    test = pq.read_table(small_data / "test.parquet")
    for name, values in found["slices"].items():
        assert sum(each["sentences"] for each in values) == len(test), name
    assert len(found["threshold_curves"]["warning"]) == 19
    assert sum(each["sentences"] for each in found["reliability"]["warning"]) == len(test)
    leaks = found["leaks"]
    audit = pq.read_table(small_data / "leak_audit.parquet").to_pylist()
    assert leaks["similarity"]["highest"] == max(row["similarity"] for row in audit if row["split"] == "test")
    assert leaks["random_split"]["articles_on_both_sides"] > 0
    text = (report / "report.md").read_text()
    assert all(part in text for part in ("## Slices", "| headline |", "## Leaks", "on a random split of sentences"))


def test_every_held_out_sentence_has_its_nearest(small_data):
    audit = pq.read_table(small_data / "leak_audit.parquet").to_pylist()
    split = {
        row["sentence_id"]: name
        for name in ("train", "validation", "test")
        for row in pq.read_table(small_data / f"{name}.parquet").to_pylist()
    }
    assert {row["sentence_id"] for row in audit} == {sentence for sentence, name in split.items() if name != "train"}
    assert all(split[row["nearest_sentence_id"]] == row["nearest_split"] != row["split"] for row in audit)
    shown = json.loads((small_data / "leak_audit.json").read_text())
    assert max(row["similarity"] for row in audit) == shown["highest_cross_split_similarity"]


def test_gates_fail_with_their_lines_only_where_the_interval_excludes_the_bound(report, model, small_data):
    again = ("evaluate", model, "--data", small_data, "--out", report, *QUICK)
    low, high = json.loads((report / "report.json").read_text())["systems"]["model"]["macro_f1_interval"]
    assert netral(*again, "--require", f"macro_f1>={low:.4f}").exit_code == 0
    assert netral(*again, "--require", f"macro_f1>={high:.4f}", "--no-worse-than", report).exit_code == 0
    found = netral(*again, "--require", f"macro_f1>={high + 0.001:.4f}", "--require", "warning.brier<=0.9")
    assert found.exit_code == 1
    assert f"failed: macro_f1>={high + 0.001:.4g}" in found.output
    assert "warning.brier" not in found.output
    assert isinstance(netral(*again, "--require", "warning.f2>=0.1").exception, NetralError)


def test_a_model_worse_than_the_base_fails(tmp_path, report, model, small_data):
    """The base answers everything rightly: the tiny model cannot."""
    base = shutil.copytree(report, tmp_path / "base")
    table = pq.read_table(base / "predictions.parquet")
    rows = [{**row, "labels": row["gold"]} for row in table.to_pylist()]
    pq.write_table(table.from_pylist(rows, schema=table.schema), base / "predictions.parquet")
    found = netral("evaluate", model, "--data", small_data, "--out", report, *QUICK, "--no-worse-than", base)
    assert found.exit_code == 1
    assert "failed: macro_f1: -" in found.output
    (base / "predictions.parquet").unlink()
    missing = netral("evaluate", model, "--data", small_data, "--out", report, *QUICK, "--no-worse-than", base)
    assert "holds no predictions.parquet" in str(missing.exception)


def test_compare_takes_reports_and_model_folders(tmp_path, report, decided, small_data):
    found = netral("compare", report, decided, "--data", small_data, "--out", tmp_path / "cmp", *QUICK)
    assert found.exit_code == 0, found.output
    written = json.loads((tmp_path / "cmp" / "compare.json").read_text())
    figures = written["models"]["model"]["figures"]
    changes = read_jsonl(tmp_path / "cmp" / "changes.jsonl")
    assert changes
    for label in open_model_folder(decided).labels:
        for kind in ("fixed", "broken"):
            assert figures[label][kind] == sum(row["label"] == label and row["change"] == kind for row in changes)
    # The scores are the same, the thresholds are not.
    assert all(row["score"] == row["base_score"] for row in changes)
    assert "can be shown from" in (tmp_path / "cmp" / "compare.md").read_text()
    assert "--data" in str(netral("compare", report, decided, *QUICK).exception)
    assert "the same folder twice" in str(netral("compare", report, report, *QUICK).exception)
    assert "nothing to compare" in str(netral("compare", report, *QUICK).exception)


def test_decide_writes_what_every_backend_reads_and_is_repeatable(decided, model, small_data):
    before, after = open_model_folder(model).decision, open_model_folder(decided).decision
    assert after.thresholds != before.thresholds
    assert set(after.review) == set(after.labels)
    assert all(low <= after.thresholds[label] <= high for label, (low, high) in after.review.items())
    assert after.chosen_on["goals"]["warning"] == "precision=0.9"
    assert set(after.chosen_on["expects"]["permission"]) >= {"precision", "recall", "recall_interval", "share"}
    written = (decided / "decision.json").read_bytes()
    goals = ("--goal", "recall=0.9", "--goal", "warning:precision=0.9", "--goal", "review=50/day")
    found = netral("decide", decided, *goals, "--per-day", 500, "--data", small_data, *QUICK)
    assert found.exit_code == 0
    assert (decided / "decision.json").read_bytes() == written
    assert netral("decide", decided, "--goal", "f1", "--data", small_data, "--dry-run", *QUICK).exit_code == 0
    assert (decided / "decision.json").read_bytes() == written
    assert "no --goal" in str(netral("decide", decided).exception)


def test_decide_says_which_labels_get_no_band(decided, small_data, tmp_path):
    """In this crawl every sentence has the same score for `warning`, and each its own for the others."""
    labels = open_model_folder(decided).labels
    rows = [{"scores": dict.fromkeys(labels, round(i / 1000, 3)) | {"warning": 0.2}} for i in range(1000)]
    crawl = write_jsonl(tmp_path / "out.jsonl", rows)
    goals = [part for label in labels for part in ("--goal", f"{label}:review=50/day")]
    args = ("decide", decided, *goals, "--per-day", 1000, "--crawl", crawl, "--data", small_data, "--dry-run", *QUICK)
    found = netral(*args)
    assert found.exit_code == 0, found.output
    lines = [line for line in found.output.splitlines() if "no review band" in line]
    assert len(lines) == 1
    assert lines[0].startswith("decide: warning: no review band: the 1000 sentences a day nearest to a threshold are equally near")
    assert "review=50/day" in lines[0]


def test_a_label_run_gives_its_review_queue_and_its_drift(tmp_path, decided, small_articles, small_data):
    out = tmp_path / "out.jsonl"
    assert netral("label", small_articles, "--model", decided, "--out", out, "--backend", "torch").exit_code == 0
    rows, bands = read_jsonl(out), open_model_folder(decided).decision.review
    found = netral("review", out, "--model", decided, "--out", tmp_path / "queue.jsonl")
    assert found.exit_code == 0, found.output
    queue = read_jsonl(tmp_path / "queue.jsonl")
    doubtful = {row["sentence_id"] for row in rows if any(low <= row["scores"][label] <= high for label, (low, high) in bands.items())}
    assert {row["sentence_id"] for row in queue} == doubtful
    assert "another model" not in found.output
    # A budget counted in the crawl itself.
    goals = ("--goal", "review=10/day", "--per-day", len(rows), "--crawl", out)
    assert netral("decide", decided, *goals, "--data", small_data, *QUICK).exit_code == 0
    found = netral("review", out, "--model", decided, "--out", tmp_path / "ten.jsonl")
    assert 0 < len(read_jsonl(tmp_path / "ten.jsonl")) <= 10
    assert "another model or other thresholds" in found.output
    parquet = tmp_path / "labelled/"
    assert netral("label", small_articles, "--model", decided, "--out", f"{parquet}/", "--backend", "torch", "--workers", 1).exit_code == 0
    found = netral("drift", out, parquet, "--out", tmp_path / "drift.json", *QUICK)
    assert found.exit_code == 0, found.output
    assert "verdict: no sign" in found.output
    assert "rule: retrain signal, if" in found.output
    assert json.loads((tmp_path / "drift.json").read_text())["verdict"] == "no sign"
    assert netral("drift", small_data, out, *QUICK).exit_code == 0
