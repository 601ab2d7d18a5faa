import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import Predictor
from inference.batching import make_batches
from inference.predictor import LOGIT_NOISE
from netral.errors import NetralError
from netral.model_folder import open_model_folder


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=40), max_size=30), st.integers(1, 200))
def test_batches_hold_every_sentence_once_within_the_budget(ids, budget):
    seen = {}
    for batch in make_batches(ids, 0, budget):
        assert batch.input_ids.shape == batch.attention_mask.shape
        assert batch.input_ids.size <= budget or len(batch.rows) == 1
        for row, line, mask in zip(batch.rows, batch.input_ids, batch.attention_mask, strict=True):
            assert row not in seen
            seen[int(row)] = line[mask == 1].tolist()
            assert (line[mask == 0] == 0).all()
    assert seen == {i: list(x) for i, x in enumerate(ids)}


@pytest.fixture(scope="module")
def sentences(gold_labels):
    return [row["sentence"] for row in gold_labels[:300]]


@pytest.mark.parametrize("backend", ["torch", "fake"])
def test_predictions_do_not_depend_on_the_batch(tiny_model, sentences, backend):
    expected = Predictor(tiny_model, backend=backend).predict(sentences)
    assert expected == Predictor(tiny_model, backend=backend).predict(sentences)
    for tokens, window in ((1, 4096), (100, 7), (100_000, 50)):
        assert Predictor(tiny_model, backend=backend, batch_tokens=tokens, window=window).predict(sentences) == expected
    order = np.random.default_rng(0).permutation(len(sentences))
    shuffled = Predictor(tiny_model, backend=backend).predict([sentences[i] for i in order])
    assert [shuffled[list(order).index(i)] for i in range(20)] == expected[:20]


class NoisyBackend:
    """Adds to each logit as much noise as the settling rule allows for, different in every call but when alone."""

    def __init__(self, inner):
        self.name, self._inner, self._rng = "noisy", inner, np.random.default_rng(0)

    def logits(self, input_ids, attention_mask):
        exact = self._inner.logits(input_ids, attention_mask)
        if len(input_ids) == 1 and attention_mask.all():
            return exact
        return (exact + self._rng.uniform(-0.9, 0.9, exact.shape) * LOGIT_NOISE).astype(np.float32)


def test_noise_of_the_arithmetic_never_shows(tiny_model, sentences):
    many = sentences * 1
    exact = Predictor(tiny_model, backend="torch").predict(many)
    for _ in range(3):
        noisy = Predictor(tiny_model, backend="torch")
        noisy._backend = NoisyBackend(noisy._backend)
        assert noisy.predict(many) == exact


def test_empty_input_and_odd_sentences(tiny_model):
    predictor = Predictor(tiny_model, backend="torch")
    assert predictor.predict([]) == []
    found = predictor.predict(["", " ", "😀", "ASN " * 500])
    assert [p.truncated for p in found] == [False, False, False, True]
    assert all(0 <= score <= 1 for p in found for score in p.scores.values())


def test_spelling_of_spaces_and_entities_does_not_change_a_score(tiny_model):
    plain, odd = Predictor(tiny_model).predict(['Kata dia, "ASN netral".', " Kata\u00a0dia,  &quot;ASN\u200b netral&quot;. "])
    assert plain == odd


def test_labels_follow_thresholds(tiny_model, sentences):
    predictor = Predictor(tiny_model)
    for found in predictor.predict(sentences[:50]):
        thresholds = predictor.folder.decision.thresholds
        assert found.labels == tuple(name for name in predictor.labels if found.scores[name] >= thresholds[name])


@pytest.fixture
def copy(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "model")


def _edit(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


BREAKS = {
    "no decision": lambda m: (m / "decision.json").unlink(),
    "no tokenizer": lambda m: (m / "tokenizer.json").unlink(),
    "no weights": lambda m: (m / "model.safetensors").unlink(),
    "pickle only": lambda m: (m / "model.safetensors").rename(m / "pytorch_model.bin"),
    "cut weights": lambda m: (m / "model.safetensors").write_bytes((m / "model.safetensors").read_bytes()[:-10]),
    "pointer instead of weights": lambda m: (m / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
    "labels differ": lambda m: _edit(m / "config.json", lambda d: d["id2label"].update({"0": "x"})),
    "single label": lambda m: _edit(m / "config.json", lambda d: d.update(problem_type="single_label_classification")),
    "not JSON": lambda m: (m / "config.json").write_text("{"),
    "threshold missing": lambda m: _edit(m / "decision.json", lambda d: d["thresholds"].popitem()),
    "unknown key": lambda m: _edit(m / "text.json", lambda d: d.update(extra=1)),
    "newer schema": lambda m: _edit(m / "text.json", lambda d: d.update(schema_version=2)),
    "tokenizer broken": lambda m: (m / "tokenizer.json").write_text("{"),
    "length zero": lambda m: _edit(m / "text.json", lambda d: d.update(max_length=0)),
    "layer missing": lambda m: _edit(m / "config.json", lambda d: d.update(num_hidden_layers=3)),
    "path escape": lambda m: (
        (m / "model.safetensors").unlink(),
        (m / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../outside.safetensors"}}'),
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_damaged_model_folder_is_refused(copy, name):
    BREAKS[name](copy)
    with pytest.raises(NetralError) as caught:
        Predictor(copy)
    assert caught.value.next_step
    assert "model" in str(caught.value)


def test_a_missing_model_folder_is_named(tmp_path):
    with pytest.raises(NetralError, match="nowhere"):
        Predictor(tmp_path / "nowhere")


def test_the_fingerprint_follows_what_decides_a_score(copy):
    before = open_model_folder(copy).fingerprint
    (copy / "README.md").write_text("another card")
    (copy / "run.json").write_text("{}")
    assert open_model_folder(copy).fingerprint == before
    _edit(copy / "decision.json", lambda d: d["thresholds"].update(warning=0.01))
    assert open_model_folder(copy).fingerprint != before


def test_unknown_backend_and_missing_device_say_so(tiny_model):
    import torch

    with pytest.raises(NetralError, match="auto, torch, fake"):
        Predictor(tiny_model, backend="tensorflow")
    if not torch.cuda.is_available():
        with pytest.raises(NetralError, match="CUDA"):
            Predictor(tiny_model, device="cuda")
