"""The contract of every backend: the same logits as plain transformers, whatever the batch, and an export that passes the gate."""

import json
import shutil
import threading

import numpy as np
import pytest

from inference import Predictor
from inference.backends import Variant, make_backend, usable_variants
from inference.batching import make_batches
from inference.exports.export import export
from inference.exports.parity import EXPORTS, PARITY_FILE, Flip, Parity, f1_pairs, read_parity
from inference.tokenise import Tokeniser
from netral.errors import NetralError
from netral.model_folder import open_model_folder
from netral.text import model_text

VARIANTS = [
    Variant("torch", "fp32"),
    Variant("torch", "bf16"),
    Variant("onnx", "fp32"),
    Variant("onnx", "int8"),
    Variant("openvino", "fp32"),
    Variant("openvino", "bf16"),
    Variant("openvino", "int8"),
]
# How far a logit of the tiny model may lie from plain transformers in fp32. It was trained for two epochs: its logits are below 1.
CLOSE = {"fp32": 1e-4, "bf16": 0.05, "int8": 0.2}
LIBRARY = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}


@pytest.fixture(scope="module")
def exported(tiny_model, small_data, tmp_path_factory):
    """The tiny model with every export; the gate is opened wide where two epochs leave all scores at the threshold."""
    import inference.exports.quantise

    inference.exports.quantise.CALIBRATION_SENTENCES = 16  # enough for a model whose scores mean nothing, and quick
    folder = tmp_path_factory.mktemp("exported") / "model"
    shutil.copytree(tiny_model, folder)
    decision = json.loads((folder / "decision.json").read_text())
    decision["thresholds"] = dict.fromkeys(decision["thresholds"], 0.999)
    (folder / "decision.json").write_text(json.dumps(decision))
    for variant in VARIANTS[1:]:
        pytest.importorskip(LIBRARY[variant.backend])
        pytest.importorskip("nncf")
        export(folder, variant.backend, variant.precision, small_data, say=lambda line: None)
    return folder


@pytest.fixture(scope="module")
def sentences(gold_labels, exported):
    """Sentences that the tiny model reads in one piece."""
    tokeniser = Tokeniser(open_model_folder(exported))
    return [row["sentence"] for row in gold_labels[:120] if len(tokeniser.rows([row["sentence"]])[0][0]) == 1]


@pytest.fixture(scope="module")
def plain_logits(exported, sentences):
    """Logits of plain transformers, one sentence at a time, without padding."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(exported, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(exported)
    with torch.inference_mode():
        return np.concatenate([model(**tokenizer(model_text(text), return_tensors="pt")).logits.numpy() for text in sentences])


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_logits_are_those_of_plain_transformers(exported, sentences, plain_logits, variant):
    found = Predictor(exported, backend=variant.backend, precision=variant.precision).logits(sentences)
    assert found.dtype == np.float32
    assert np.abs(found - plain_logits).max() < CLOSE[variant.precision]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_predictions_show_nothing_of_batch_order_or_streams(exported, sentences, variant):
    def predict(texts, **how):
        with Predictor(exported, backend=variant.backend, precision=variant.precision, **how) as predictor:
            return predictor.predict(texts)

    expected = predict(sentences)
    for how in ({"batch_tokens": 1}, {"batch_tokens": 300, "window": 7}, {"streams": 1}, {"streams": 3}):
        assert predict(sentences, **how) == expected
    assert predict(sentences[::-1])[::-1] == expected


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_row_has_the_same_bits_in_every_batch_or_differs_by_less_than_the_noise(exported, variant):
    """What settling rests on."""
    backend = make_backend(open_model_folder(exported), variant, "cpu", 1)
    rng = np.random.default_rng(0)
    rows = [rng.integers(5, 900, size=int(n)).tolist() for n in rng.integers(3, 40, size=60)]
    first = {}
    for budget in (1, 64, 500, 4000):
        order = rng.permutation(len(rows)).tolist()
        fixed = backend.fixed_tokens
        for batch in make_batches([rows[i] for i in order], 0, fixed or budget, fixed is not None):
            found = backend.logits(batch.input_ids, batch.attention_mask)
            for line, row in enumerate(batch.rows.tolist()):
                expected = first.setdefault(order[row], found[line])
                assert np.abs(found[line] - expected).max() < backend.noise / 2


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_several_threads_may_call_a_backend(exported, variant):
    backend = make_backend(open_model_folder(exported), variant, "cpu", 4)
    ids = np.full((4, 16), 7, dtype=np.int64)
    expected = backend.logits(ids, np.ones_like(ids))
    found = []
    threads = [threading.Thread(target=lambda: found.append(backend.logits(ids, np.ones_like(ids)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    assert all((each == expected).all() for each in found)


def test_albert_has_the_same_graph(tmp_path):
    import torch
    from transformers import AlbertConfig, AlbertForSequenceClassification

    from inference.backends.encoder_graph import EncoderGraph, pack_linear_layers

    torch.manual_seed(0)
    shape = AlbertConfig(
        vocab_size=200, embedding_size=16, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64, num_labels=4
    )
    model = AlbertForSequenceClassification(shape).eval()
    ids = torch.randint(5, 200, (3, 16))
    mask = torch.ones_like(ids)
    mask[0, 5:] = 0
    with torch.inference_mode():
        expected = model(input_ids=ids, attention_mask=mask).logits
        graph = EncoderGraph(model).eval()
        assert torch.allclose(graph(ids, mask), expected, atol=1e-5)
        assert torch.allclose(pack_linear_layers(graph)(ids, mask), expected, atol=1e-5)


def test_auto_takes_the_fastest_and_remembers_it(exported, monkeypatch, tmp_path):
    import inference.choose as choose

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rates = {"torch-fp32": 1.0, "onnx-int8": 9.0}
    monkeypatch.setattr(choose, "_rate", lambda folder, variant: rates.get(str(variant), 2.0))
    folder = open_model_folder(exported)
    first = choose.choose_variant(folder, "auto", "auto", "cpu")
    assert str(first.variant) == "onnx-int8"
    assert not first.remembered
    monkeypatch.setattr(choose, "_rate", lambda folder, variant: pytest.fail("measured again"))
    again = choose.choose_variant(folder, "auto", "auto", "cpu")
    assert again.variant == first.variant
    assert again.remembered
    (tmp_path / "netral" / "speed.json").write_text("{")
    monkeypatch.setattr(choose, "_rate", lambda folder, variant: 1.0 + (str(variant) == "torch-fp32"))
    assert str(choose.choose_variant(folder, "auto", "auto", "cpu").variant) == "torch-fp32"


def test_a_wish_that_cannot_be_met_says_how_to_meet_it(tiny_model):
    with pytest.raises(NetralError) as caught:
        Predictor(tiny_model, backend="onnx", precision="int8")
    assert "netral export" in caught.value.next_step
    with pytest.raises(NetralError, match="not one of"):
        Predictor(tiny_model, backend="onnx", precision="bf16")


def test_an_export_of_other_weights_or_with_other_bytes_is_not_used(exported, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    opened = open_model_folder(folder)
    assert Variant("onnx", "fp32") in usable_variants(opened, "auto", "auto", "cpu")
    with (folder / EXPORTS / "onnx-fp32" / "fp32.onnx").open("ab") as stream:
        stream.write(b"x")
    decision = json.loads((folder / "decision.json").read_text())
    assert Variant("onnx", "fp32") not in usable_variants(opened, "auto", "auto", "cpu")
    decision["thresholds"]["warning"] = 0.5
    (folder / "decision.json").write_text(json.dumps(decision))
    assert usable_variants(open_model_folder(folder), "auto", "auto", "cpu") == [Variant("torch", "fp32")]


def parity(**changes):
    values = {
        "variant": "onnx-int8",
        "model": "0" * 16,
        "data": "validation.parquet",
        "sentences": 100,
        "band": 0.5,
        "settled": 3,
        "flipped_share": 0.0,
        "f1": {"warning": (80.0, 80.0), "permission": None},
        "largest_probability_difference": 0.1,
        "flips": [],
        "files": {},
        "recipe": {},
        "libraries": {},
    }
    return Parity(**{**values, **changes})


def test_the_gate_objects_to_flips_lost_f1_and_nothing_gained():
    assert parity().passed
    assert parity(flipped_share=0.01).passed
    assert "flip" in parity(flipped_share=0.0101).problems[0]
    assert parity(f1={"warning": (80.0, 79.5)}).passed
    assert "warning" in parity(f1={"warning": (80.0, 79.4)}).problems[0]
    assert parity(f1={"warning": (80.0, 90.0)}).passed
    assert "fp32" in parity(settled=26).problems[0]


def test_f1_pairs_count_as_worked_by_hand():
    truth = np.array([[1, 0], [1, 0], [0, 0]], dtype=bool)
    before = np.array([[1, 0], [0, 0], [0, 0]], dtype=bool)
    after = np.array([[1, 0], [1, 0], [1, 0]], dtype=bool)
    # before: 1 hit of 1 given and 2 true: 2/3; after: 2 hits of 3 given and 2 true: 4/5.
    assert f1_pairs(before, after, truth, ("a", "b")) == {"a": (66.67, 80.0), "b": None}


def test_a_refused_export_keeps_nothing_and_lists_the_flips(tiny_model, small_data, tmp_path, monkeypatch):
    import inference.exports.export as module

    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    flip = Flip(sentence_id="a:1", sentence="ASN harus netral.", label="warning", before=0.6, after=0.4, threshold=0.5)
    bad = parity(variant="torch-bf16", flipped_share=0.2, flips=[flip])
    monkeypatch.setattr(module, "_compare", lambda *args: bad)
    with pytest.raises(NetralError) as caught:
        export(folder, "torch", "bf16", small_data, say=lambda line: None)
    assert "ASN harus netral." in str(caught.value)
    assert "try" in caught.value.next_step
    assert not (folder / EXPORTS).exists()


def test_export_into_a_copy_leaves_the_model_alone(tiny_model, small_data, tmp_path):
    before = sorted(path.name for path in tiny_model.rglob("*"))
    out = tmp_path / "copy"
    thresholds = json.loads((tiny_model / "decision.json").read_text())["thresholds"]
    assert thresholds
    source = tmp_path / "source"
    shutil.copytree(tiny_model, source)
    export(source, "onnx", "fp32", small_data, out=out, say=lambda line: None)
    assert not (source / EXPORTS).exists()
    found = read_parity(open_model_folder(out), "onnx-fp32")
    assert found is not None
    assert found.model == open_model_folder(tiny_model).fingerprint
    assert json.loads((out / EXPORTS / "onnx-fp32" / PARITY_FILE).read_text())["sentences"] == found.sentences
    assert before == sorted(path.name for path in tiny_model.rglob("*"))
