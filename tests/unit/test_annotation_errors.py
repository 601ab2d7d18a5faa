import numpy as np
import pyarrow.parquet as pq
import pytest
from support import read_jsonl, write_jsonl

from netral.config import Config
from netral.errors import NetralError
from training.annotation.label_errors import LabelledData, find_errors, load_all, out_of_fold, rank

CONFIG = Config()


def planted(data, share, seed):
    """Change one label of some sentences."""
    rng = np.random.default_rng(seed)
    truth = data.truth.copy()
    wrong = np.flatnonzero(rng.random(len(truth)) < share)
    columns = rng.integers(0, truth.shape[1], len(wrong))
    truth[wrong, columns] = 1 - truth[wrong, columns]
    return LabelledData(data.rows, truth, data.groups), set(wrong.tolist())


def test_planted_errors_come_first(small_data):
    """On 24 articles, a tenth of the gold corpus. On train and validation of all of it the first 50 have 0.89 (docs/annotation.md)."""
    data = load_all(small_data, CONFIG.labels)
    found = []
    for seed in range(3):
        changed, wrong = planted(data, 0.08, seed)
        first = rank(out_of_fold(changed, CONFIG, encoder=False), changed.truth)[:15]
        found.append(sum(int(i) in wrong for i in first) / 15)
    assert np.mean(found) > 0.5  # 0.08 by chance


def test_no_fold_learns_from_copies_in_its_own_group():
    """Each group repeats a word of its own with a label: only a model that saw the group could know it."""
    rng = np.random.default_rng(0)
    rows, truth, groups = [], [], []
    for group in range(40):
        label = int(rng.random() < 0.5)
        for _ in range(4):
            rows.append({"sentence": f"kata{group} saja"})
            truth.append([label])
            groups.append(group)
    config = Config(labels=["a"])
    found = out_of_fold(LabelledData(rows, np.array(truth), np.array(groups)), config, encoder=False)[:, 0]
    right = ((found > 0.5) == np.array(truth)[:, 0]).mean()
    assert right < 0.75  # it would be 1 with the copies in training
    leaking = out_of_fold(LabelledData(rows, np.array(truth), np.arange(160)), config, encoder=False)[:, 0]
    assert ((leaking > 0.5) == np.array(truth)[:, 0]).mean() > 0.95


def test_the_ranking_covers_the_data_set_and_names_the_doubt(tmp_path, small_data):
    found = find_errors(small_data, tmp_path / "errors.jsonl", CONFIG)
    ids = [
        row["sentence_id"] for name in ("train", "validation", "test") for row in pq.read_table(small_data / f"{name}.parquet").to_pylist()
    ]
    assert sorted(row["sentence_id"] for row in found) == sorted(ids)
    assert read_jsonl(tmp_path / "errors.jsonl") == found
    right = [row["doubt"]["probability_right"] for row in found]
    assert right == sorted(right)
    for row in found[:20]:
        doubt = row["doubt"]
        assert doubt["given"] == (doubt["label"] in row["labels"])
        score = row["scores"][doubt["label"]]
        assert doubt["probability_right"] == pytest.approx(score if doubt["given"] else 1 - score, abs=0.0011)
    with pytest.raises(NetralError, match="exists"):
        find_errors(small_data, tmp_path / "errors.jsonl", CONFIG)


def test_scores_of_several_models_are_averaged(tmp_path, small_data):
    data = load_all(small_data, CONFIG.labels)
    ids = [row["sentence_id"] for row in data.rows]
    suspect = 7
    rows = []
    for shift in (0.0, 0.2):
        for i, sentence_id in enumerate(ids):
            right = data.truth[i] if i != suspect else 1 - data.truth[i]
            rows.append({"sentence_id": sentence_id, "scores": dict(zip(CONFIG.labels, abs(right - 0.2 - shift).tolist(), strict=True))})
    scores = write_jsonl(tmp_path / "scores.jsonl", rows)
    found = find_errors(small_data, tmp_path / "errors.jsonl", CONFIG, scores=scores)
    assert found[0]["sentence_id"] == ids[suspect]
    assert found[0]["doubt"]["probability_right"] == pytest.approx(0.3, abs=0.001)


def test_what_does_not_fit_is_refused(tmp_path, small_data):
    out = tmp_path / "errors.jsonl"
    with pytest.raises(NetralError, match=r"train\.parquet is missing"):
        find_errors(tmp_path, out, CONFIG)
    with pytest.raises(NetralError, match="not in the configuration"):
        find_errors(small_data, out, Config(labels=["warning"]))
    with pytest.raises(NetralError, match=r"scores\.jsonl:1: no scores"):
        find_errors(small_data, out, CONFIG, scores=write_jsonl(tmp_path / "scores.jsonl", [{"sentence_id": "a"}]))
    half = [{"sentence_id": "a", "scores": dict.fromkeys(CONFIG.labels, 0.5)}]
    with pytest.raises(NetralError, match="no scores for the sentence"):
        find_errors(small_data, out, CONFIG, scores=write_jsonl(tmp_path / "scores.jsonl", half))
    many = Config.model_validate({"annotate": {"folds": 1000}})
    with pytest.raises(NetralError, match="groups of articles, 1000 folds"):
        find_errors(small_data, out, many)
    assert not out.exists()


def test_the_encoder_adds_a_view(small_data, tiny_config):
    data = load_all(small_data, CONFIG.labels)
    alone, both = (out_of_fold(data, tiny_config, encoder=encoder) for encoder in (False, True))
    assert both.shape == alone.shape
    assert ((both >= 0) & (both <= 1)).all()
    assert np.abs(both - alone).max() > 0.05
