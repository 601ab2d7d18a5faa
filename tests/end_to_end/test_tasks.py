"""Label sets other than the built-in one, by configuration alone: one label, a value of each aspect, pairs of sentences."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, f1_score
from support import ROOT, read_jsonl, write_jsonl
from task_rows import ASPECTS, VALUES, pairs, reviews, write_csv

from inference import Predictor
from inference.exports.export import export
from inference.jobs.job import label
from inference.predictor import DEFAULT_MODEL
from netral.config import Config, load_config
from netral.errors import NetralError
from training.data.prepare import prepare
from training.evaluation.assess import evaluate
from training.fitting.fit import train
from training.statistics.compare import compare, load_systems
from training.statistics.decide import decide
from training.statistics.gates import Requirement, check_against_base, check_requirements
from training.statistics.goals import Goal
from training.statistics.leaks import no_random_split
from training.statistics.predictions import read_predictions

LONG = " ".join(["kantor itu ramai sekali dan antreannya lama"] * 12)


@dataclass(frozen=True)
class Task:
    config: Config
    data: Path
    model: Path
    inputs: Path

    def split(self, name: str) -> list[dict]:
        return pq.read_table(self.data / f"{name}.parquet").to_pylist()


def settings(encoder, *more):
    common = [
        "prepare.splits={train: 'train*', validation: 'valid*'}",
        "task=single_label",
        "train.epochs=3",
        "train.learning_rate=3e-3",
        "model.pooling=mean",
        "evaluate.bootstrap_samples=50",
    ]
    return load_config(ROOT / "configs/recipes/tiny.yaml", [f"model.encoder={encoder}", *common, *more])


def made(folder, config, inputs):
    prepare([str(inputs)], folder / "data", config)
    train(config, folder / "data", folder / "model")
    return Task(config, folder / "data", folder / "model", inputs)


@pytest.fixture(scope="module")
def one_label(tmp_path_factory, tiny_encoder):
    folder = tmp_path_factory.mktemp("one")
    (folder / "in").mkdir()
    for name, rows in (("train", reviews(48)), ("valid", reviews(24, 100))):
        write_csv(folder / "in" / f"{name}_1.csv", rows, ["nilai", "ulasan"])
    wanted = [f"labels={json.dumps(VALUES)}", "read.columns={sentence: ulasan}", "prepare.label_field=nilai"]
    return made(folder, settings(tiny_encoder, *wanted), folder / "in")


@pytest.fixture(scope="module")
def aspects(tmp_path_factory, tiny_encoder):
    folder = tmp_path_factory.mktemp("aspects")
    (folder / "in").mkdir()
    for name, rows in (("train", reviews(48)), ("valid", reviews(24, 100))):
        records = [{"sentence": r["ulasan"], "antrean": r["antrean"], "petugas": r["petugas"], "kota": "Rimbajaya"} for r in rows]
        write_jsonl(folder / "in" / f"{name}.jsonl", records)
    # Long enough that values stand apart: between near ties bf16 leaves most sentences to fp32, and its gate rightly refuses.
    wanted = [f"labels={json.dumps(ASPECTS)}", "train.pos_weight=balanced", "train.epochs=20"]
    return made(folder, settings(tiny_encoder, *wanted), folder / "in")


@pytest.fixture(scope="module")
def paired(tmp_path_factory, tiny_encoder):
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "in").mkdir()
    long = [{"a": LONG, "b": "Di sana antreannya lama sekali.", "jawaban": "sama"}]
    for name, rows in (("train", pairs(40) + long), ("valid", pairs(20, 100))):
        write_csv(folder / "in" / f"{name}.tsv", rows, ["a", "b", "jawaban"], header=False, delimiter="\t")
    return made(
        folder, settings(tiny_encoder, "labels=[sama, beda]", "pairs=true", "read.header=[sentence, sentence_2, label]"), folder / "in"
    )


def plain_logits(model, *texts):
    """The logits of plain transformers, each text (or pair) alone and cut as its tokenizer cuts."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer, plain = AutoTokenizer.from_pretrained(model), AutoModelForSequenceClassification.from_pretrained(model).eval()
    with torch.inference_mode():
        rows = [plain(**tokenizer(*each, truncation=True, return_tensors="pt")).logits[0].numpy() for each in zip(*texts, strict=True)]
    return np.stack(rows), plain.config.problem_type


def differ(found, expected):
    """How far logits are from others, as a share of what they vary by from text to text: a tiny model's vary little."""
    return np.abs(found - expected).max() / np.ptp(expected, axis=0).max()


def softmax(values):
    each = np.exp(values - values.max(axis=1, keepdims=True))
    return each / each.sum(axis=1, keepdims=True)


def test_one_of_several_labels(one_label):
    rows = one_label.split("validation")
    sentences = [row["sentence"] for row in rows]
    assert sentences == [row["ulasan"] for row in reviews(24, 100)]
    assert [row["labels"] for row in rows] == [[row["nilai"]] for row in reviews(24, 100)]
    assert len(one_label.split("train")) == 48
    assert one_label.split("test") == []
    assert "nilai" not in rows[0]["meta"]
    logits, problem = plain_logits(one_label.model, sentences)
    assert problem == "single_label_classification"
    decision = json.loads((one_label.model / "decision.json").read_text())
    assert decision["thresholds"] == {}
    assert decision["choices"] == {"": VALUES}
    (slope,) = {each["slope"] for each in decision["calibration"].values()}
    assert slope > 0
    with Predictor(one_label.model) as predictor:
        assert differ(predictor.logits(sentences), logits) < 0.01
        found = predictor.predict(sentences)
    assert [p.labels for p in found] == [(VALUES[k],) for k in logits.argmax(1)]
    assert np.array([list(p.scores.values()) for p in found]) == pytest.approx(softmax(logits * slope), abs=1e-3)


def test_the_report_has_accuracy_and_macro_f1(one_label, tmp_path):
    found = evaluate(one_label.model, one_label.data, tmp_path / "report", one_label.config, split="validation")
    rows = one_label.split("validation")
    given = [p.labels[0] for p in Predictor(one_label.model).predict([row["sentence"] for row in rows])]
    truth = [row["labels"][0] for row in rows]
    model = found["systems"]["model"]
    assert model["accuracy"] == pytest.approx(accuracy_score(truth, given), abs=1e-4)
    assert model["macro_f1"] == pytest.approx(f1_score(truth, given, average="macro"), abs=1e-4)
    assert model["accuracy_interval"][0] <= model["accuracy"] <= model["accuracy_interval"][1]
    assert set(found["systems"]) == {"model", "majority", "tfidf"}
    assert found["systems"]["majority"]["accuracy"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["systems"]["tfidf"]["accuracy"] > 0.9  # one phrase decides
    text = (tmp_path / "report" / "report.md").read_text()
    assert "accuracy" in text
    assert "most frequent label" in text
    assert found["leaks"]["random_split"] is None
    assert f"No figure on a random split of sentences: {found['leaks']['no_random_split']}" in text
    assert found["empty_kept"] is None
    assert len(found["threshold_curves"]["baik"]) == 19
    assert sum(each["sentences"] for each in found["slices"]["length"]) == len(rows)
    accuracy = Requirement("accuracy", ">=", model["accuracy_interval"][1] + 0.01)
    assert check_requirements(found, [Requirement("accuracy", ">=", 0.0)]) == ([], [])
    assert check_requirements(found, [accuracy])[0]
    with pytest.raises(NetralError, match="no thresholds"):
        decide(one_label.model, [Goal("f1")], one_label.config, data=one_label.data)


def test_labelling_gives_each_sentence_its_one_label(one_label, tmp_path):
    def output(name, **sizes):
        config = one_label.config.model_copy(update={"label": one_label.config.label.model_copy(update=sizes)})
        label([str(one_label.inputs)], str(tmp_path / name), config, model=one_label.model, cache=tmp_path / "cache" / name)
        return (tmp_path / name).read_bytes()

    assert output("a.jsonl") == output("b.jsonl", batch_tokens=32, window=5)
    rows = read_jsonl(tmp_path / "a.jsonl")
    assert len(rows) == 72
    assert all(len(row["labels"]) == 1 and row["scores"][row["labels"][0]] == max(row["scores"].values()) for row in rows)
    assert {row["meta"]["nilai"] for row in rows} == set(VALUES)  # labels of the input are no business of the model's


def test_a_long_sentence_of_a_single_label_model_has_the_mean_of_its_windows(one_label):
    with Predictor(one_label.model) as predictor:
        (found,) = predictor.predict([LONG])
        rows = predictor._tokeniser.rows([LONG])[0][0]
        windows = predictor._scorer.scores(rows, np.zeros((len(rows), 1)))[0]
    assert found.truncated
    assert len(rows) > 1
    assert list(found.scores.values()) == pytest.approx(windows.mean(axis=0), abs=6e-4)
    assert sum(found.scores.values()) == pytest.approx(1, abs=2e-3)


def test_a_value_of_each_aspect(aspects, tmp_path):
    rows = aspects.split("validation")
    sentences = [row["sentence"] for row in rows]
    assert json.loads(rows[0]["meta"]) == {"kota": "Rimbajaya"}
    assert rows[0]["labels"] == [f"{aspect}:{reviews(1, 100)[0][aspect]}" for aspect in ASPECTS]
    logits, problem = plain_logits(aspects.model, sentences)
    assert problem == "multi_label_classification"
    with Predictor(aspects.model) as predictor:
        assert differ(predictor.logits(sentences), logits) < 0.01
        found = predictor.predict(sentences)
        names = predictor.labels
    assert names == tuple(f"{aspect}:{value}" for aspect, values in ASPECTS.items() for value in values)
    for row, prediction in zip(logits, found, strict=True):
        assert prediction.labels == (names[row[:3].argmax()], names[3 + row[3:].argmax()])
        scores = list(prediction.scores.values())
        assert sum(scores[:3]) == pytest.approx(1, abs=2e-3)
        assert sum(scores[3:]) == pytest.approx(1, abs=2e-3)
    report = evaluate(aspects.model, aspects.data, tmp_path / "report", aspects.config, split="validation")
    truth = [name.split(":")[1] for row in rows for name in row["labels"]]
    given = [name.split(":")[1] for prediction in found for name in prediction.labels]
    model = report["systems"]["model"]
    assert model["accuracy"] == pytest.approx(accuracy_score(truth, given), abs=1e-4)
    assert model["macro_f1"] == pytest.approx(f1_score(truth, given, average="macro"), abs=1e-4)
    # A report and its model folder are the same answers.
    systems = load_systems([tmp_path / "report", aspects.model], aspects.data, "validation", aspects.config)
    figures = compare(systems, aspects.config)["models"]["model"]["figures"]["macro_f1"]
    assert figures["base"] == figures["f1"] == pytest.approx(model["macro_f1"], abs=1e-4)
    assert check_against_base(systems["model"], aspects.model, tmp_path / "report", aspects.config) == []


def test_a_reduced_precision_of_a_model_with_choices_keeps_its_decisions(aspects, tmp_path):
    found = export(aspects.model, "torch", "bf16", aspects.data, out=tmp_path / "model", say=lambda line: None)
    assert found.passed
    assert found.band > 0
    sentences = [row["sentence"] for row in aspects.split("validation")]
    with Predictor(tmp_path / "model", backend="torch", precision="bf16") as reduced, Predictor(aspects.model) as exact:
        given = [[p.labels for p in each.predict(sentences)] for each in (reduced, exact)]
    assert given[0] == given[1]


def test_pairs_of_sentences(paired):
    rows = paired.split("validation")
    first, second = [row["sentence"] for row in rows], [row["sentence_2"] for row in rows]
    assert second == [row["b"] for row in pairs(20, 100)]
    text = json.loads((paired.model / "text.json").read_text())
    assert text["pairs"] is True
    assert isinstance(text["type_separator"], int)  # a BERT tokenizer gives the second sentence type 1
    run = json.loads((paired.model / "run.json").read_text())
    assert run["counts"]["truncated"] == {"train": 1, "validation": 0}
    first, second = [*first, LONG, "Pendek."], [*second, LONG + " sekali", LONG]
    logits, _ = plain_logits(paired.model, first, second)
    with Predictor(paired.model) as predictor:
        together = list(zip(first, second, strict=True))
        assert differ(predictor.logits(together), logits) < 0.01
        found = predictor.predict(together)
        assert [p.truncated for p in found] == [False] * 20 + [True, True]
        swapped = predictor.logits([(b, a) for a, b in together[:4]])
        assert differ(swapped, logits[:4]) > 0.1
        with pytest.raises(NetralError, match="pairs"):
            predictor.predict(["Satu kalimat saja."])
    with pytest.raises(NetralError, match="single sentences"), Predictor(DEFAULT_MODEL, backend="fake") as predictor:
        predictor.predict([("Satu.", "Dua.")])


def test_the_report_of_pairs_shows_both_sentences(paired, tmp_path):
    found = evaluate(paired.model, paired.data, tmp_path / "report", paired.config, split="validation")
    assert found["data"]["pairs"] is True
    assert found["leaks"]["similarity"]["sentences"] == 20
    read = read_predictions(tmp_path / "report")
    assert read.sentences == [f"{row['sentence']} {row['sentence_2']}" for row in paired.split("validation")]
    again = load_systems([tmp_path / "report", paired.model], paired.data, "validation", paired.config)["model"]
    assert (again.scores == read.scores).all()


def test_many_labels_without_a_test_split_have_no_random_split(tmp_path):
    rows = [{"sentence": f"Hal {i} itu murah, tetapi antre.", "labels": ["promosi"] if i % 2 else []} for i in range(20)]
    write_jsonl(tmp_path / "train.jsonl", rows)
    write_jsonl(tmp_path / "valid.jsonl", rows[:4])
    config = load_config(None, ["labels=[promosi, keluhan]", "prepare.splits={train: 'train*', validation: 'valid*'}"])
    prepare([str(tmp_path / "train.jsonl"), str(tmp_path / "valid.jsonl")], tmp_path / "data", config)
    assert no_random_split(tmp_path / "data", {}) == "the test split is empty"


def test_pairs_through_an_export_are_typed_too(paired, tmp_path):
    pytest.importorskip("onnxruntime")
    found = export(paired.model, "onnx", "fp32", paired.data, out=tmp_path / "model", say=lambda line: None)
    assert found.passed
    together = [(row["a"], row["b"]) for row in pairs(6, 300)]
    with Predictor(tmp_path / "model", backend="onnx") as fast, Predictor(paired.model, backend="torch") as exact:
        assert differ(fast.logits(together), exact.logits(together)) < 0.01


def test_rows_without_a_second_sentence_are_rejected(paired, tmp_path):
    rows = [{"sentence": "Loket buka.", "sentence_2": "Loket tutup."}, {"sentence": "Loket buka."}, {"text": "Loket buka. Lalu tutup."}]
    write_jsonl(tmp_path / "in.jsonl", [*rows, {"sentence": LONG, "sentence_2": LONG}])
    summary = label([str(tmp_path / "in.jsonl")], str(tmp_path / "out.jsonl"), Config(), model=paired.model)
    out = read_jsonl(tmp_path / "out.jsonl")
    assert [(row["meta"]["sentence_2"], row["truncated"]) for row in out] == [("Loket tutup.", False), (LONG, True)]
    assert summary["counts"]["truncated"] == 1
    assert summary["counts"]["rejects"] == {"missing_field": 3}  # the record, and both sentences of the article


def test_labels_in_fields_of_their_names(tmp_path):
    """The other ways of writing labels: a list, and 0 or 1 in a column a label."""
    columns = ["sentence", "promosi", "keluhan"]
    rows = [
        dict(zip(columns, each, strict=True))
        for each in (("Murah!", "1", "0"), ("Rusak dan mahal.", "0", "1"), ("Ia pergi.", "0", "0"), ("Entah.", "mungkin", "0"))
    ]
    write_csv(tmp_path / "a.csv", rows, columns)
    write_jsonl(tmp_path / "b.jsonl", [{"sentence": "Dua-duanya.", "labels": ["promosi", "keluhan"]}])
    prepare(
        [str(tmp_path)],
        tmp_path / "out",
        load_config(None, ["labels=[promosi, keluhan]", "prepare.train=1", "prepare.validation=0", "prepare.test=0"]),
    )
    found = {row["sentence"]: row["labels"] for row in pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()}
    assert found == {"Murah!": ["promosi"], "Rusak dan mahal.": ["keluhan"], "Ia pergi.": [], "Dua-duanya.": ["promosi", "keluhan"]}
    assert [row["sentence"] for row in read_jsonl(tmp_path / "out" / "unlabelled.jsonl")] == ["Entah."]


def test_records_that_do_not_fit_the_task_are_rejected_by_name(tmp_path):
    good = {"sentence": "Antreannya cepat.", "antrean": "baik", "petugas": "netral"}
    rows = [
        good,
        {**good, "antrean": "lumayan"},
        {"sentence": "Cepat.", "antrean": "baik"},
        {"sentence": "Cepat.", "labels": ["antrean:baik"]},
    ]
    write_jsonl(tmp_path / "train.jsonl", [*rows, {"sentence": "Tanpa nilai."}])
    config = load_config(None, [f"labels={json.dumps(ASPECTS)}", "task=single_label", "prepare.splits={train: 'train*'}"])
    found = prepare([str(tmp_path / "train.jsonl")], tmp_path / "data", config)
    assert found["counts"]["labelled"] == 1
    assert found["counts"]["unlabelled"] == 1
    assert found["counts"]["rejects"] == {"not_one_label": 2, "unknown_label": 1}


def test_a_file_that_fits_no_split_is_named(tmp_path):
    write_jsonl(tmp_path / "dev.jsonl", [{"sentence": "Murah.", "labels": ["warning"]}])
    with pytest.raises(NetralError, match=r"dev\.jsonl: no pattern"):
        prepare([str(tmp_path / "dev.jsonl")], tmp_path / "data", load_config(None, ["prepare.splits={train: 'train*'}"]))


def test_data_of_another_task_are_refused(one_label, paired, small_data, tmp_path):
    wrong = one_label.config.model_copy(update={"pairs": True})
    with pytest.raises(NetralError, match="no pairs"):
        train(wrong, one_label.data, tmp_path / "a")
    with pytest.raises(NetralError, match="pairs of sentences"):
        train(paired.config.model_copy(update={"pairs": False}), paired.data, tmp_path / "b")
    single = load_config(None, ["task=single_label", f"model.encoder={tmp_path}"])
    with pytest.raises(NetralError, match="exactly one"):
        train(single, small_data, tmp_path / "c")


def test_the_files_of_a_multi_label_model_hold_nothing_of_other_tasks(tiny_model):
    assert set(json.loads((tiny_model / "decision.json").read_text())) == {
        "schema_version",
        "labels",
        "calibration",
        "thresholds",
        "chosen_on",
    }
    assert set(json.loads((tiny_model / "text.json").read_text())) == {"schema_version", "max_length", "text"}
