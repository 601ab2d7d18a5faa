"""Several seeds of a recipe, and the search for its settings; on few sentences and few steps."""

import json
import shutil
import statistics

import pyarrow.parquet as pq
import pytest
import yaml
from support import ROOT
from task_rows import VALUES, reviews, write_csv
from typer.testing import CliRunner

import training.fitting.search as searching
import training.fitting.seeds as seeding
from netral.cli import app
from netral.config import load_config
from netral.errors import NetralError
from training.data.prepare import prepare


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, tiny_encoder):
    folder = tmp_path_factory.mktemp("recipe")
    settings = {
        "extends": str(ROOT / "configs/recipes/tiny.yaml"),
        "labels": VALUES,
        "task": "single_label",
        "read": {"columns": {"sentence": "ulasan"}},
        "prepare": {"near_duplicate": 1.0, "label_field": "nilai", "splits": {"train": "train*", "validation": "valid*"}},
        "model": {"encoder": str(tiny_encoder)},
        "train": {"epochs": 1},
        "search": {"folds": 2, "space": {"train.learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}, "train.batch_size": [8, 16]}},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(settings))
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory, recipe):
    folder = tmp_path_factory.mktemp("searched")
    for name, rows in (("train", reviews(32)), ("valid", reviews(16, 100))):
        write_csv(folder / f"{name}.csv", rows, ["ulasan", "nilai"])
    prepare([str(folder / "*.csv")], folder / "data", load_config(recipe))
    # What does not exist cannot be read.
    (folder / "data" / "test.parquet").unlink()
    return folder / "data"


class Stopped(Exception):
    pass


def counting(monkeypatch, module, stop_at=None):
    """Record the trainings that a module does; one of them may die."""
    real, done = module.train, []

    def train(config, *args, **kwargs):
        if len(done) + 1 == stop_at:
            raise Stopped
        run = real(config, *args, **kwargs)
        if not run.get("unchanged"):
            done.append(config)
        return run

    monkeypatch.setattr(module, "train", train)
    return done


def test_seeds_report_their_spread_and_go_on_where_they_stopped(tmp_path, recipe, data, monkeypatch):
    config, out = load_config(recipe), tmp_path / "model"
    with monkeypatch.context() as patch:
        counting(patch, seeding, stop_at=2)
        with pytest.raises(Stopped):
            seeding.train_seeds(config, data, out, 2)
    assert not out.exists()
    done = counting(monkeypatch, seeding)
    two = seeding.train_seeds(config, data, out, 2)
    assert [each.train.seed for each in done] == [14]  # seed 13 was finished
    assert seeding.train_seeds(config, data, out, 2)["unchanged"]
    with pytest.raises(NetralError, match="exists"):
        seeding.train_seeds(config, data, out, 3)
    three = seeding.train_seeds(config, data, out, 3, overwrite=True)
    assert [each.train.seed for each in done] == [14, 15]
    assert set(three["seeds"]) == {"13", "14", "15"}
    assert {seed: three["seeds"][seed] for seed in two["seeds"]} == two["seeds"]
    values = list(three["seeds"].values())
    assert three["mean"] == pytest.approx(statistics.mean(values), abs=1e-4)
    assert three["sd"] == pytest.approx(statistics.stdev(values), abs=1e-4)
    assert three["seeds"][str(three["kept"])] == statistics.median(values)
    assert json.loads((out / "seeds.json").read_text()) == three
    kept = tmp_path / "model.seeds" / f"seed-{three['kept']}"
    assert (out / "model.safetensors").read_bytes() == (kept / "model.safetensors").read_bytes()
    other = next(path for path in (tmp_path / "model.seeds").iterdir() if path != kept)
    assert (out / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


def test_one_seed_has_no_spread(tmp_path, recipe, data):
    with pytest.raises(NetralError, match="no spread"):
        seeding.train_seeds(load_config(recipe), data, tmp_path / "model", 1)


def test_a_search_that_was_stopped_tries_what_an_unstopped_one_does(tmp_path, recipe, data, monkeypatch):
    straight = searching.search(recipe, [], data, tmp_path / "straight", 2)
    assert len(straight["trials"]) == 2
    assert "folds within the training split" in straight["scored_on"]
    out = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        counting(patch, searching, stop_at=4)  # in the second fold of the second trial
        with pytest.raises(Stopped):
            searching.search(recipe, [], data, out, 2)
    done = counting(monkeypatch, searching)
    found = searching.search(recipe, [], data, out, 2)
    assert len(done) == 2  # the second trial alone, in two folds
    assert found == straight
    assert (out / "search.json").read_bytes() == (tmp_path / "straight" / "search.json").read_bytes()
    assert searching.search(recipe, [], data, out, 2) == straight
    assert len(done) == 2
    assert not (out / "trial").exists()


def test_folds_hold_the_training_split_alone_and_keep_groups_together(tmp_path, recipe, data):
    table = pq.read_table(data / "train.parquet")
    shutil.copytree(data, tmp_path / "data")
    pairs = [i // 4 for i in range(len(table))]
    pq.write_table(
        table.set_column(table.schema.get_field_index("group"), table.schema.field("group"), [pairs]), tmp_path / "data/train.parquet"
    )
    folds = searching._folds(tmp_path / "data", tmp_path / "out", load_config(recipe))
    held = [pq.read_table(fold / "validation.parquet") for fold in folds]
    assert sorted(name for each in held for name in each["sentence_id"].to_pylist()) == sorted(table["sentence_id"].to_pylist())
    for fold, each in zip(folds, held, strict=True):
        rest = pq.read_table(fold / "train.parquet")
        assert not set(each["group"].to_pylist()) & set(rest["group"].to_pylist())
        assert len(each) + len(rest) == len(table)


def test_the_best_settings_extend_the_recipe(tmp_path, recipe, data, monkeypatch):
    """On the validation split, with the training replaced by a known figure: the middle of the range is best."""
    monkeypatch.chdir(tmp_path)

    def fake(config, where, out, **kwargs):
        out.mkdir(parents=True)
        assert where == data
        assert config.train.epochs == 2
        return {"validation_macro_f1": 1 - abs(config.train.learning_rate - 5e-3) * 100}

    monkeypatch.setattr(searching, "train", fake)
    overrides = ["search.scored_on=validation", "train.epochs=2", "prepare.gold=labels.jsonl"]
    found = searching.search(recipe, overrides, data, tmp_path / "out", 12)
    assert found["best"]["value"] == max(trial["value"] for trial in found["trials"])
    assert "promises too much" in found["scored_on"]
    assert len({trial["train.learning_rate"] for trial in found["trials"]}) == 12
    best = load_config(tmp_path / "out" / "best.yaml")
    assert best.train.learning_rate == found["best"]["train.learning_rate"]
    assert abs(best.train.learning_rate - 5e-3) < 2e-3
    assert best.train.epochs == 2
    assert best.prepare.gold == str(tmp_path / "labels.jsonl")
    assert best.labels == VALUES
    assert "validation split" in (tmp_path / "out" / "best.yaml").read_text().splitlines()[0]


def test_another_search_is_refused_its_folder(tmp_path, recipe, data, monkeypatch):
    monkeypatch.setattr(searching, "train", lambda config, where, out, **kwargs: out.mkdir(parents=True) or {"validation_macro_f1": 0.5})
    searching.search(recipe, [], data, tmp_path / "out", 1)
    with pytest.raises(NetralError, match="another recipe"):
        searching.search(recipe, ["train.epochs=3"], data, tmp_path / "out", 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(NetralError, match="did not write"):
        searching.search(recipe, [], data, tmp_path / "mine", 1)


def test_the_commands_say_what_came_out(tmp_path, recipe, data):
    def netral(*args):
        done = CliRunner().invoke(app, list(map(str, args)))
        assert done.exit_code == 0, done.output
        return done.output

    said = netral(
        "search", "-c", recipe, "--data", data, "--out", tmp_path / "search", "--trials", 1, "--set", "search.scored_on=validation"
    )
    assert "best of 1 trials: macro F1" in said
    best = ["-c", tmp_path / "search" / "best.yaml", "--data", data, "--out", tmp_path / "model", "--seeds", 2]
    said = netral("train", *best)
    assert "macro F1 of 2 seeds: mean" in said
    assert "holds the median" in said
    assert "nothing to do" in netral("train", *best)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("search.space={train.learning_rat: [1]}", r"did you mean train\.learning_rate"),
        ("search.space={train.epochs: {low: 3, high: 2}}", "low must be below high"),
        ("search.space={prepare.seed: [1, 2]}", "no setting of model or train"),
        ("search.space={train.epochs: []}", "names no value"),
    ],
)
def test_a_wrong_space_is_named(setting, message):
    with pytest.raises(NetralError, match=message):
        load_config(None, [setting])
