"""What the model card says, from records written by hand."""

import json

import pytest
from huggingface_hub import ModelCard

from training.release.card import write_card


def run_of(**settings):
    given = {"labels": ["warning", "permission"], "task": "multi_label", "pairs": False, "prepare": {}}
    return {
        "settings": given | {"model": {"encoder": "embedded", "max_length": 64}} | settings,
        "encoder": {"parameters": 1_500_000, "local": False},
        "counts": {"train": 30, "validation": 9, "truncated": {"train": 2, "validation": 0}, "positives": {"warning": 5, "permission": 4}},
        "decision": {
            "thresholds": {"warning": 0.5, "permission": 0.5},
            "calibration": {"warning": {"slope": 1.0}, "permission": {"slope": 1.0}},
            "chosen_on": {"split": "validation", "sentences": 9, "positives": {"warning": 3, "permission": 2}},
        },
        "validation_macro_average_precision": 0.5,
        "validation_macro_f1": 0.25,
    }


def figures(f1, n):
    return {"precision": f1, "recall": f1, "f1": f1, "f1_interval": [f1 - 0.1, f1 + 0.1], "support": n, "predicted": n}


def group(value, f1, small=False):
    interval = None if f1 is None else [f1 - 0.1, f1 + 0.1]
    return {"value": value, "macro_f1": f1, "macro_f1_interval": interval, "small": small}


REPORT = {
    "model": {"fingerprint": "0123456789abcdef"},
    "data": {"split": "test", "sentences": 20, "articles": 4, "no_label": 10},
    "interval": {"confidence": 0.95, "method": "bootstrap"},
    "systems": {
        "model": {"macro_f1": 0.7, "macro_f1_interval": [0.6, 0.8], "labels": {"warning": figures(0.8, 12), "permission": figures(0.6, 5)}}
    },
    "macro_f1_difference": {
        "rules": {"difference": 0.2, "interval": [0.1, 0.3]},
        "tfidf": {"difference": 0.02, "interval": [-0.1, 0.1]},
        "other": {"difference": -0.2, "interval": [-0.3, -0.1]},
    },
    "empty_kept": {"kept": 9, "of": 10},
    "slices": {"year": [group("2024", 0.6), group("2023", 0.5), group("2022", 0.1, small=True), group("2021", None)], "outlet": None},
    "behaviour": {
        "passed": 11,
        "cases": 14,
        "groups": {
            "threats": {"cases": 4, "passed": 1, "pass_rate": 0.25, "interval": [0.0, 0.7]},
            "negation": {"cases": 10, "passed": 10, "pass_rate": 1.0, "interval": [0.7, 1.0]},
        },
    },
}


def card_of(folder, run, report=None):
    if report:
        (folder / "report.json").write_text(json.dumps(report))
    write_card(folder, run, report)
    return ModelCard.load(folder / "README.md")


def code_of(card):
    return card.text.split("```python\n")[1].split("```")[0]


def test_the_limits_are_what_the_report_found(tmp_path):
    text = card_of(tmp_path, run_of(), REPORT).text
    limits = text.split("## Limits")[1].split("##")[0]
    assert "Weakest label: `permission`, F1 0.60 [0.50, 0.70], n = 5" in limits
    assert "Not shown to be better than the baseline `tfidf`: macro F1 +0.02 [-0.10, +0.10]" in limits
    assert "Worse than the baseline `other`" in limits
    assert "rules" not in limits
    assert "1 of 10 sentences without a label got one" in limits
    assert "Weakest slices by macro F1, small ones apart: year 2023 0.50 [0.40, 0.60]; year 2024 0.60 [0.50, 0.70]\n" in limits
    assert "Weakest groups of the behaviour suite: threats 0.25\n" in limits
    assert "too high" not in limits
    assert "(2 sentences of train, 0 of validation were cut)" in limits
    assert "5 `warning`, 4 `permission`" in text


def test_figures_of_another_split_say_so(tmp_path):
    report = REPORT | {"data": REPORT["data"] | {"split": "validation"}}
    assert "they are too high" in card_of(tmp_path, run_of(), report).text


def test_the_encoder_decides_name_base_and_licence(tmp_path):
    embedded = card_of(tmp_path, run_of())
    assert (embedded.data.base_model, embedded.data.license) == ("intfloat/multilingual-e5-small", "mit")
    assert "not IndoBERT" in embedded.text
    hub = run_of(model={"encoder": "indobenchmark/indobert-base-p2", "max_length": 64})
    card = card_of(tmp_path, hub)
    assert (card.data.base_model, card.data.license) == ("indobenchmark/indobert-base-p2", None)
    assert "Not stated here" in card.text
    hub["settings"]["model"]["encoder"], hub["encoder"]["local"] = "secret-project/encoder", True
    card = card_of(tmp_path, hub)
    assert card.data.base_model is None
    assert "secret-project" not in card.content


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"task": "single_label"}, "Single-label classifier of Indonesian sentences."),
        ({"task": "single_label", "labels": {"fuel": ["good", "bad"]}}, "one value for each of 1 aspects"),
        ({"pairs": True}, "pairs of Indonesian sentences"),
    ],
)
def test_other_tasks_are_described_and_their_use_is_python(tmp_path, settings, shown):
    card = card_of(tmp_path, run_of(**settings))
    assert shown in card.text
    assert "whether anyone broke a rule" not in card.text
    code = code_of(card)
    compile(code, "card", "exec")
    assert code.count("Kalimat kedua.") == (2 if settings.get("pairs") else 0)


def test_a_model_of_words_is_named_because_plain_transformers_leaves_it_out(tmp_path):
    run = run_of()
    assert "model of words" not in card_of(tmp_path, run).text
    run["decision"]["calibration"]["warning"]["lexical"] = 2.0
    assert "without the model of words" in code_of(card_of(tmp_path, run))


def test_records_of_older_versions_are_enough(tmp_path):
    run = run_of()
    del run["settings"]["task"], run["settings"]["pairs"], run["counts"]["positives"], run["encoder"]["local"]
    assert "Not evaluated" in card_of(tmp_path, run).text
