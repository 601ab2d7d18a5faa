import pytest
import yaml
from support import ROOT

from netral.config import Config, load_config, parse_yaml
from netral.errors import NetralError
from netral.labels import LABELS

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_every_shipped_config_loads(path):
    load_config(path)


def test_base_lists_every_default():
    assert load_config(ROOT / "configs/base.yaml") == Config()
    written = yaml.safe_load((ROOT / "configs/base.yaml").read_text(encoding="utf-8"))
    assert written == Config().model_dump()


def test_labels_are_the_codebook_s():
    text = (ROOT / "docs/labels.md").read_text(encoding="utf-8")
    assert all(f"`{label}`" in text for label in LABELS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  epoch: 3\n", r"unknown key train\.epoch; did you mean train\.epochs\?"),
        ("trian: {}\n", r"unknown key trian; did you mean train\?"),
        ("train:\n  epochs: many\n", r"train\.epochs"),
        ("train:\n  epochs: 0\n", r"train\.epochs"),
        ("train: 3\n", "train"),
        ("labels: [a, a]\n", "differ"),
        ("prepare:\n  train: 0.9\n", "add up to 1"),
        ("train:\n  seed: 1\n  seed: 2\n", "twice"),
        ("- a\n", "no settings"),
        ("train: {\n", "line"),
        ("1: 2\n", "not text"),
        ("extends: missing.yaml\n", "cannot be read"),
        ("extends: a.yaml\n", "extends itself"),
    ],
)
def test_a_wrong_file_names_itself_and_the_key(tmp_path, text, message):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(NetralError, match=message) as caught:
        load_config(path)
    assert "a.yaml" in str(caught.value) or "missing.yaml" in str(caught.value)
    assert caught.value.next_step


def test_yaml_without_its_surprises():
    assert parse_yaml("a: no\nb: 2e-5\nc: true\nd: off", "x") == {"a": "no", "b": 2e-5, "c": True, "d": "off"}


def test_overrides_win_and_are_checked():
    assert load_config(None, ["train.epochs=3", "labels=[a,b]"]).labels == ["a", "b"]
    for bad in ("train.epochs", "train.epochs.x=3", "tarin.epochs=3"):
        with pytest.raises(NetralError):
            load_config(None, [bad])


def test_paths_are_taken_from_the_file_that_names_them():
    gold = load_config(ROOT / "configs/recipes/mini.yaml").prepare.gold
    assert gold == str(ROOT / "data/gold/labels.jsonl")
    assert load_config(ROOT / "configs/recipes/indobert-lite.yaml").prepare.gold == gold
    assert load_config(ROOT / "configs/recipes/indobert-lite.yaml").model.encoder == "indobenchmark/indobert-lite-base-p1"
