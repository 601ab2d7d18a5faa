"""report.html as `netral evaluate` writes it, with and without a base, on a tiny model."""

import json
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from report_figures import Page
from sklearn.metrics import f1_score, precision_recall_curve
from typer.testing import CliRunner

from netral.cli import app
from netral.errors import NetralError
from training.evaluation.assess import evaluate
from training.statistics.predictions import read_predictions, write_predictions

QUICK = ("--set", "evaluate.bootstrap_samples=50", "--set", "decision.bootstrap_samples=20")


def netral(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def report(tmp_path_factory, tiny_model, small_data):
    out = tmp_path_factory.mktemp("page") / "report"
    found = netral("evaluate", tiny_model, "--data", small_data, "--out", out, *QUICK)
    assert found.exit_code == 0, found.output
    assert f"report in {out}/report.html" in " ".join(found.output.split()).replace("/ ", "/")
    return out


@pytest.fixture(scope="module")
def base(tmp_path_factory, report):
    """The report of a model that gives the first label to every sentence."""
    folder = tmp_path_factory.mktemp("base") / "lama"
    folder.mkdir()
    found = read_predictions(report)
    found.given[:] = np.eye(len(found.labels), dtype=int)[0]
    write_predictions(folder / "predictions.parquet", found)
    return folder


def test_the_page_holds_the_figures_of_the_predictions_beside_it(report):
    page, rows = Page(report / "report.html"), pq.read_table(report / "predictions.parquet").to_pylist()
    labels = list(rows[0]["scores"])
    dots = page.plot("F1 with intervals")
    shown = [dots.x(x) for x, _ in dots.circles()]  # the model's are circles
    for label, f1 in zip(labels, shown[:-1], strict=True):
        truth, given, scores = (
            np.array(each) for each in zip(*[(label in r["gold"], label in r["labels"], r["scores"][label]) for r in rows], strict=True)
        )
        assert f1 == pytest.approx(f1_score(truth, given, zero_division=0), abs=2e-4)
        if truth.any():
            precision, recall, _ = precision_recall_curve(truth, scores)
            steps = page.plot(f"Precision and recall: {label}").steps()
            assert steps == pytest.approx(np.column_stack([precision, recall])[:-1][::-1], abs=2e-4)
        hits = next(row for row in page.tables("confusion")[0] if row[0] == label)[1 + labels.index(label)]
        assert int(hits) == (truth & given).sum()
    assert not re.search(r"(?:src|href)=\"(?!#)", page.text)
    assert "report.html" in json.loads((report / "run.json").read_text())["files"]


def test_a_base_is_told_in_every_file_and_counts_as_input(tmp_path, report, base, tiny_model, small_data, tiny_config):
    out = tmp_path / "report"
    again = ("evaluate", tiny_model, "--data", small_data, "--out", out, *QUICK, "--base", base)
    found = netral(*again)
    assert found.exit_code == 0, found.output
    written = json.loads((out / "report.json").read_text())["base"]
    assert written["base"] == "lama"
    ((name, model),) = written["models"].items()
    assert (name, set(model)) == ("model", {"figures"})  # without the sentences
    before, after = read_predictions(base), read_predictions(out)
    fixed = {label: int(((before.given != after.given) & (after.given == after.truth))[:, k].sum()) for k, label in enumerate(after.labels)}
    assert {label: model["figures"][label]["fixed"] for label in after.labels} == fixed
    assert "## Against the base model" in (out / "report.md").read_text()
    assert "against" not in (report / "report.md").read_text().split("## Leaks")[1]
    folds = [" ".join(each.text_content().split()) for each in Page(out / "report.html").section("base").iter("summary")]
    assert [each for each in folds if "fixed" in each] == [f"{label}: {n} fixed" for label, n in fixed.items() if n]
    assert sum(fixed.values()) > 0
    assert "up to date" in netral(*again).output
    # Other answers of the base are other work, and so is none.
    other = shutil.copytree(base, tmp_path / "other" / "lama")
    before.given[:] = 0
    write_predictions(other / "predictions.parquet", before)
    assert "exists" in str(netral(*again[:-1], other).exception)
    assert "exists" in str(netral(*again[:-2]).exception)


def test_the_base_may_be_a_model_or_that_of_the_gate(tmp_path, report, base, tiny_model, small_data):
    twin = shutil.copytree(tiny_model, tmp_path / "twin")
    found = netral("evaluate", tiny_model, "--data", small_data, "--out", tmp_path / "a", *QUICK, "--base", twin, "--no-worse-than", base)
    assert "model and twin label all" in " ".join(found.output.split())
    gated = ("evaluate", tiny_model, "--data", small_data, *QUICK, "--no-worse-than", base)
    netral(*gated, "--out", tmp_path / "b")
    assert json.loads((tmp_path / "b" / "report.json").read_text())["base"]["base"] == "lama"
    # A report that is there already serves the gate as it is.
    written = (report / "report.json").read_bytes()
    assert "up to date" in netral(*gated, "--out", report).output
    assert (report / "report.json").read_bytes() == written


def test_a_base_of_other_sentences_is_refused_before_the_model_is_asked(tmp_path, base, tiny_model, small_data, tiny_config, monkeypatch):
    monkeypatch.setattr("training.evaluation.assess.Predictor", None)
    with pytest.raises(NetralError, match=r"cannot be compared.*sentences are in one of them only"):
        evaluate(tiny_model, small_data, tmp_path / "report", tiny_config, split="validation", base=base)
    with pytest.raises(NetralError, match="the same folder twice"):
        evaluate(tiny_model, small_data, tmp_path / "report", tiny_config, base=tiny_model)
    assert not (tmp_path / "report").exists()
