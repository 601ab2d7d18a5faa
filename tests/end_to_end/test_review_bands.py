"""What `netral label` says of review bands is what `netral review` finds in its output, for every engine."""

import json
import shlex
import shutil
from collections import Counter

import pytest
from support import read_jsonl, write_jsonl
from typer.testing import CliRunner

from inference.jobs.job import label
from inference.jobs.shards import OutputFolder
from netral.cli import app
from netral.config import load_config
from training.statistics.review import review

SMALL = load_config(None, ["label.shard_bytes=6000"])


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def banded(tmp_path_factory, tiny_model):
    """The tiny model with a band around the fake backend's scores of two labels, and one that no score lies in."""
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("banded") / "model")
    decision = json.loads((folder / "decision.json").read_text())
    decision["calibration"] = {name: {"slope": 1.0, "offset": 0.0} for name in decision["labels"]}
    decision["review"] = {"warning": [0.3, 0.6], "permission": [0.5, 0.55], "sanction_threat": [1.0, 1.0]}
    (folder / "decision.json").write_text(json.dumps(decision))
    return folder


@pytest.fixture(scope="module")
def crawl(tmp_path_factory, gold_articles):
    """Articles, with rows that give no sentence."""
    rows = [{key: row[key] for key in ("id", "text")} for row in gold_articles[:24]]
    return write_jsonl(tmp_path_factory.mktemp("crawl") / "a.jsonl", [{"text": 5}, *rows[:9], {"text": ""}, *rows[9:]])


def run(crawl, out, model, **kwargs):
    return label([str(crawl)], str(out), SMALL, model=model, **{"backend": "fake", **kwargs})


def reviewed(out, model, tmp_path):
    """The same counts, from the queue that `netral review` writes of an output."""
    found = review(out, model, tmp_path / "queue.jsonl", overwrite=True)
    labels = Counter(name for row in read_jsonl(tmp_path / "queue.jsonl") for name in row["review"])
    return {"sentences": found["in_bands"], "labels": {name: labels[name] for name in ("permission", "sanction_threat", "warning")}}


def test_the_counts_are_those_of_the_queue(tmp_path, crawl, banded):
    counted = run(crawl, tmp_path / "o.jsonl", banded)["counts"]["review"]
    assert counted == reviewed(tmp_path / "o.jsonl", banded, tmp_path)
    assert counted == json.loads((tmp_path / "o.jsonl.summary.json").read_text())["counts"]["review"]
    assert 0 < counted["labels"]["permission"] < counted["labels"]["warning"] < counted["sentences"]
    assert counted["labels"]["sanction_threat"] == 0
    assert run(crawl, tmp_path / "a.jsonl", banded, level="article")["counts"]["review"] == counted


def test_a_folder_that_was_stopped_counts_every_shard_once(tmp_path, crawl, banded, monkeypatch):
    out, published, real = tmp_path / "out", [], OutputFolder.publish

    def publish(self, index, token, marker):
        real(self, index, token, marker)
        published.append(index)
        if len(published) == 3:
            raise Killed

    monkeypatch.setattr(OutputFolder, "publish", publish)
    with pytest.raises(Killed):
        run(crawl, f"{out}/", banded, workers=2)
    monkeypatch.undo()
    (out / "shards" / f"{published[0]:05}.json").unlink()
    counted = run(crawl, f"{out}/", banded, workers=2)["counts"]["review"]
    assert len(list(out.glob("part-*"))) > 5
    assert counted == reviewed(out, banded, tmp_path)
    assert counted == run(crawl, tmp_path / "o.jsonl", banded)["counts"]["review"]
    assert run(crawl, f"{out}/", banded, workers=1)["counts"]["review"] == counted


def test_ray_counts_the_same_and_adds_what_is_new(tmp_path, crawl, banded):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'netral[ray]'")
    from inference.ray_jobs.job import label_on_ray

    rows = read_jsonl(crawl)
    source = write_jsonl(tmp_path / "a.jsonl", rows[:10])
    for _ in range(2):
        counted = label_on_ray([str(tmp_path / "a.jsonl")], f"{tmp_path / 'out'}/", SMALL, model=banded, backend="fake")["counts"]["review"]
        assert counted == reviewed(tmp_path / "out", banded, tmp_path)
        write_jsonl(source, rows)
    assert counted == run(crawl, tmp_path / "o.jsonl", banded)["counts"]["review"]


def test_the_printed_line_is_the_next_command(tmp_path, crawl, banded, tiny_model):
    out = tmp_path / "with space.jsonl"
    args = ["label", str(crawl), "--backend", "fake", "--out", str(out)]
    shown = CliRunner().invoke(app, [*args, "--model", str(banded)]).stderr
    counted = reviewed(out, banded, tmp_path)
    (line,) = [line for line in shown.splitlines() if "review bands" in line]
    labels = ", ".join(f"{n} {name}" for name, n in counted["labels"].items())
    said, command = line.split("; next: ")
    assert said == f"label: {counted['sentences']} sentences lie in the review bands: {labels}"
    name, *command = shlex.split(command)
    assert (name, command[-1]) == ("netral", "queue.jsonl")
    found = CliRunner().invoke(app, [*command[:-1], str(tmp_path / "next.jsonl")])
    assert found.exit_code == 0
    assert len(read_jsonl(tmp_path / "next.jsonl")) == counted["sentences"]

    articles = CliRunner().invoke(app, [*args, "--model", str(banded), "--level", "article", "--overwrite"]).stderr
    assert said in articles
    assert "next:" not in articles
    plain = CliRunner().invoke(app, [*args, "--model", str(tiny_model), "--overwrite"])
    assert plain.exit_code == 0
    assert "review" not in plain.stderr
    assert "review" not in json.loads(out.with_name("with space.jsonl.summary.json").read_text())["counts"]
