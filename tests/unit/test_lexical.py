"""The linear model of words beside the encoder: its features, its file, and how its share reaches the scores."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from inference import Predictor
from inference.lexical import Lexical, ngrams
from netral.config import load_config
from netral.errors import NetralError
from netral.model_folder import LEXICAL_FILE, open_model_folder
from training.fitting.decision import platt
from training.fitting.fit import train
from training.fitting.lexical import fit_lexical

SENTENCES = [
    "Pegawai dilarang ikut kampanye.",
    "Pegawai boleh memilih.",
    "Hujan turun di Ternate.",
    "Camat dilarang ikut rapat partai.",
    "Lurah boleh ikut mendengar.",
    "Pasar dibuka pukul 7.",
    "Guru dilarang mendukung calon.",
    "Pasar ditutup pukul 17.",
]
TARGETS = np.array([[1, 0], [0, 1], [0, 0], [1, 0], [0, 1], [0, 0], [1, 0], [0, 0]], dtype=float)


@given(st.text(), st.integers(0, 10**9))
def test_ngrams_know_no_case_and_no_figures(text, number):
    found = ngrams(text)
    assert found == sorted(set(found))
    assert all(0 <= key < 2**32 for key in found)
    assert ngrams(f"Pasal {number}") == ngrams("PASAL 9")


def test_scores_are_those_of_scikit_learn():
    found = fit_lexical(SENTENCES, TARGETS, np.ones(len(SENTENCES)))
    plain = TfidfVectorizer(analyzer=ngrams, min_df=2, binary=True)
    features = plain.fit_transform(SENTENCES)
    assert found.keys.tolist() == sorted(plain.vocabulary_)
    for k in range(2):
        linear = LogisticRegression(C=10, class_weight="balanced", solver="liblinear", random_state=0).fit(features, TARGETS[:, k])
        assert found.scores(SENTENCES)[:, k] == pytest.approx(linear.decision_function(features), abs=2e-2)


def test_a_text_is_scored_by_itself_and_the_file_keeps_every_bit(tmp_path):
    found = fit_lexical(SENTENCES, TARGETS, np.ones(len(SENTENCES)))
    found.save(tmp_path)
    again = Lexical.load(tmp_path)
    assert (again.scores(SENTENCES) == found.scores(SENTENCES)).all()
    assert (np.vstack([again.scores([each]) for each in SENTENCES[::-1]]) == found.scores(SENTENCES[::-1])).all()
    assert again.scores(["", "tak satu kata dikenal"]).tolist() == [again.intercepts.astype(float).tolist()] * 2


def test_soft_targets_and_weights_are_heard_and_a_label_without_examples_says_nothing():
    targets = np.column_stack([TARGETS, np.zeros(len(TARGETS))])
    soft = np.where(targets == 1, 0.8, 0.1)
    found = fit_lexical(SENTENCES, soft, np.ones(len(SENTENCES)))
    assert (found.scores(SENTENCES)[:, :2] == fit_lexical(SENTENCES, TARGETS, np.ones(len(SENTENCES))).scores(SENTENCES)).all()
    assert not found.scores(SENTENCES)[:, 2].any()
    without = fit_lexical(SENTENCES, TARGETS, np.where(TARGETS[:, 0] == 1, 1e-6, 1.0))
    assert without.scores(SENTENCES[:1])[0, 0] < found.scores(SENTENCES[:1])[0, 0]


def test_the_share_is_fitted_where_it_helps_and_only_there():
    rng = np.random.default_rng(3)
    truth = (rng.random(400) < 0.3).astype(int)
    logits, words = truth * 2 - 1 + rng.normal(size=400), truth * 3 - 1 + rng.normal(size=400)
    assert platt(logits, truth, words).lexical > 0.5
    assert platt(logits, truth, rng.normal(size=400)).lexical < 0.15
    assert platt(logits, truth) == platt(logits, truth, np.zeros(400))


@pytest.fixture(scope="module")
def with_words(tmp_path_factory, small_data, tiny_config):
    out = tmp_path_factory.mktemp("words") / "model"
    train(tiny_config.model_copy(update={"model": tiny_config.model.model_copy(update={"lexical": True})}), small_data, out)
    return out


def test_predictor_adds_the_words_to_the_logits(with_words, gold_labels):
    sentences = [row["sentence"] for row in gold_labels[:60]]
    decision = json.loads((with_words / "decision.json").read_text())
    predictor = Predictor(with_words, backend="torch", precision="fp32")
    stacked = predictor.logits(sentences) + predictor.shifts(sentences)
    assert np.abs(predictor.shifts(sentences)).max() > 0
    for k, label in enumerate(predictor.labels):
        fitted = decision["calibration"][label]
        expected = 1 / (1 + np.exp(-(fitted["slope"] * stacked[:, k] + fitted["offset"])))
        assert [p.scores[label] for p in predictor.predict(sentences)] == pytest.approx(expected.tolist(), abs=6e-4)


def test_a_long_sentence_has_one_share_in_all_its_windows(with_words):
    text = "Bupati meminta seluruh pegawai netral dan dilarang ikut kampanye, " * 40
    (found,) = Predictor(with_words, backend="torch", precision="fp32").predict([text])
    assert found.truncated


def test_a_folder_without_its_words_is_refused(with_words, tmp_path):
    folder = shutil.copytree(with_words, tmp_path / "model")
    (folder / LEXICAL_FILE).unlink()
    with pytest.raises(NetralError, match=f"{LEXICAL_FILE} is missing"):
        open_model_folder(folder)
    save_file({"keys": np.zeros(3, dtype=np.uint32)}, folder / LEXICAL_FILE)
    with pytest.raises(NetralError, match="no model of words"):
        Predictor(folder)


def test_words_are_for_labels_that_do_not_exclude_each_other():
    with pytest.raises(NetralError, match=r"model\.lexical"):
        load_config(None, ["model.lexical=true", "pairs=true"])
