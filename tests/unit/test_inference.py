import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import Predictor
from inference.backends import Variant, make_backend
from inference.backends.base import FP32_NOISE
from inference.batching import make_batches, padded_length
from inference.scoring import Settling
from netral.errors import NetralError
from netral.model_folder import open_model_folder
from netral.records import Failure


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=40), max_size=30), st.integers(1, 200), st.booleans())
def test_batches_hold_every_sentence_once_at_its_own_length(ids, budget, fixed):
    seen = {}
    for batch in make_batches(ids, 0, budget, fixed):
        size, length = batch.input_ids.shape
        assert batch.attention_mask.shape == (size, length)
        assert size == max(1, budget // length) if fixed else size == len(batch.rows) <= max(1, budget // length)
        for row, line, mask in zip(batch.rows, batch.input_ids, batch.attention_mask, strict=False):
            assert row not in seen
            assert length == padded_length(len(ids[row]))
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


def loaded(model, precision="fp32"):
    return make_backend(open_model_folder(model), Variant("torch", precision), "cpu", 1)


class Wrapped:
    """A backend around a real one, to be changed by a test."""

    def __init__(self, inner):
        self.name, self.precision, self.noise, self.fixed_tokens = "wrapped", "fp32", inner.noise, inner.fixed_tokens
        self.inner, self.calls = inner, 0

    def logits(self, input_ids, attention_mask):
        self.calls += len(input_ids)
        return self.changed(self.inner.logits(input_ids, attention_mask), input_ids)

    def changed(self, exact, input_ids):
        return exact


class Noisy(Wrapped):
    """Adds to each logit as much noise as the settling rule allows for, different in every call but when alone."""

    rng = np.random.default_rng(0)

    def changed(self, exact, input_ids):
        if len(input_ids) == 1:
            return exact
        return (exact + self.rng.uniform(-0.9, 0.9, exact.shape) * FP32_NOISE).astype(np.float32)


def test_noise_of_the_arithmetic_never_shows(tiny_model, sentences):
    exact = Predictor(tiny_model, backend=loaded(tiny_model)).predict(sentences)
    for _ in range(3):
        assert Predictor(tiny_model, backend=Noisy(loaded(tiny_model))).predict(sentences) == exact


class Coarse(Wrapped):
    """A reduced precision that is off by up to 0.3 of a logit."""

    def changed(self, exact, input_ids):
        return (exact + 0.3 * np.sin(1e4 * exact)).astype(np.float32)


def test_a_reduced_precision_keeps_the_decisions_of_fp32(tiny_model, sentences):
    folder = open_model_folder(tiny_model)
    slope = max(abs(each.slope) for each in folder.decision.calibration.values())
    exact = Predictor(tiny_model, backend=loaded(tiny_model)).predict(sentences)
    settling = Settling(0.3 * slope + 0.01, lambda: loaded(tiny_model))
    settled = Predictor(tiny_model, backend=Coarse(loaded(tiny_model)), settling=settling)
    assert [p.labels for p in settled.predict(sentences)] == [p.labels for p in exact]
    assert settled.stats.settled > 0


class Failing(Wrapped):
    """Fails on any batch that holds a token, as a driver does that cannot take a shape or runs out of memory."""

    def __init__(self, inner, bad, error=RuntimeError):
        super().__init__(inner)
        self.bad, self.error = bad, error

    def changed(self, exact, input_ids):
        if (input_ids == self.bad).any():
            raise self.error("boom")
        return exact


def test_what_the_backend_cannot_do_fails_alone_and_by_name(tiny_model, sentences):
    inner = loaded(tiny_model)
    expected = Predictor(tiny_model, backend=inner).predict(sentences)
    token = Predictor(tiny_model, backend="fake")._tokeniser.tokenizer.token_to_id("bawaslu")
    bad = [i for i, text in enumerate(sentences) if "bawaslu" in text.lower()]
    assert bad
    predictor = Predictor(tiny_model, backend=Failing(inner, token))
    found = list(predictor.attempt(sentences))
    failed = [i for i, each in enumerate(found) if isinstance(each, Failure)]
    assert failed
    assert set(failed) <= set(bad)
    assert found[failed[0]] == Failure("backend_failed", "RuntimeError: boom")
    assert all(found[i] == expected[i] for i in range(len(sentences)) if i not in failed)
    assert predictor.stats.failures == len(failed)
    with pytest.raises(NetralError, match="boom"):
        predictor.predict(sentences)


def test_a_backend_that_fails_on_everything_ends_the_job(tiny_model):
    class Broken(Wrapped):
        def changed(self, exact, input_ids):
            return exact * np.nan

    with pytest.raises(NetralError, match="every sentence"):
        Predictor(tiny_model, backend=Broken(loaded(tiny_model))).predict(["ASN harus netral.", "Hujan turun."])


def test_memory_that_runs_out_halves_the_budget_and_goes_on(tiny_model, sentences):
    class Small(Wrapped):
        def logits(self, input_ids, attention_mask):
            if input_ids.size > 300:
                raise MemoryError("too much")
            return self.inner.logits(input_ids, attention_mask)

    expected = Predictor(tiny_model, backend=loaded(tiny_model)).predict(sentences)
    predictor = Predictor(tiny_model, backend=Small(loaded(tiny_model)), batch_tokens=2048, streams=1, window=30)
    assert predictor.predict(sentences) == expected
    assert predictor._scorer._batch_tokens <= 512
    assert predictor.stats.retries


def test_a_sentence_is_scored_once_in_a_run(tiny_model, sentences):
    backend = Wrapped(loaded(tiny_model))
    predictor = Predictor(tiny_model, backend=backend, window=50)
    first = predictor.predict(sentences)
    calls = backend.calls
    assert predictor.predict(sentences) == first
    assert backend.calls == calls
    assert predictor.stats.duplicates >= len(sentences)


def test_the_cache_spares_a_second_run_and_changes_nothing(tiny_model, sentences, tmp_path):
    first = Wrapped(loaded(tiny_model))
    with Predictor(tiny_model, backend=first, cache=tmp_path) as predictor:
        expected = predictor.predict([*sentences, "ASN " * 500])
    again = Wrapped(loaded(tiny_model))
    with Predictor(tiny_model, backend=again, cache=tmp_path) as predictor:
        assert predictor.predict([*sentences, "ASN " * 500]) == expected
        assert predictor.stats.cache_hits == len({*sentences}) + 1
    assert first.calls
    assert again.calls == 0
    (file,) = tmp_path.glob("*.sqlite")
    for path in tmp_path.iterdir():
        path.unlink()
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(NetralError, match="cache"):
        Predictor(tiny_model, backend=again, cache=tmp_path)


def test_a_long_sentence_is_scored_by_windows_with_the_maximum(tiny_model):
    predictor = Predictor(tiny_model, backend=loaded(tiny_model))
    limit = predictor.folder.serving.max_length
    words = [f"{a}{b}" for a in ("ASN ", "sanksi ", "boleh ", "pilkada ") for b in ("harus ", "dan ", "tidak ")] * 20
    rows = predictor._tokeniser.rows(["".join(words)])[0][0]
    whole = predictor._tokeniser.tokenizer.encode("".join(words)).ids
    assert len(rows) > 2
    assert all(len(row) <= limit and row[0] == whole[0] and row[-1] == whole[-1] for row in rows)
    inner = [row[1:-1] for row in rows]
    joined = inner[0] + [token for part in inner[1:] for token in part[32:]]
    assert joined == whole[1:-1]
    (found,) = predictor.predict(["".join(words)])
    assert found.truncated
    alone = [predictor._scorer.scores([row], np.zeros((1, 1)))[0][0] for row in rows]
    assert list(found.scores.values()) == np.max(alone, axis=0).tolist()
    exactly = predictor._tokeniser.rows([""])[0][0][0]
    assert len(predictor._tokeniser.windows([exactly[0], *[9] * (limit - 2), exactly[-1]])) == 1
    assert len(predictor._tokeniser.windows([exactly[0], *[9] * (limit - 1), exactly[-1]])) == 2


def test_stream_reads_no_more_than_two_windows_ahead(tiny_model):
    taken = []

    def source():
        for n in range(1000):
            taken.append(n)
            yield f"Kalimat {n}."

    with Predictor(tiny_model, backend="fake", window=10) as predictor:
        stream = predictor.stream(source())
        next(stream)
        assert len(taken) <= 30


def test_an_error_of_the_source_reaches_the_caller(tiny_model):
    def source():
        yield "ASN harus netral."
        raise ValueError("source")

    with pytest.raises(ValueError, match="source"):
        list(Predictor(tiny_model, backend="fake", window=1).stream(source()))


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

    with pytest.raises(NetralError, match="unknown"):
        Predictor(tiny_model, backend="tensorflow")
    if not torch.cuda.is_available():
        with pytest.raises(NetralError, match="CUDA"):
            Predictor(tiny_model, device="cuda")
