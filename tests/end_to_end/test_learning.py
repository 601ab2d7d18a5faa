"""pretrain, distill and out-of-fold decisions on the tiny encoder."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import write_jsonl

from inference import Predictor
from netral.config import Config
from netral.errors import NetralError
from netral.provenance import file_digest
from training.data.dataset import load_split
from training.fitting import distill as distilling
from training.fitting import fit, pretrain
from training.fitting.encoder import load_classifier, load_masked_lm, load_tokenizer
from training.fitting.folds import same_training


class Killed(Exception):
    pass


def changed(config, **sections):
    return Config.model_validate(
        {**config.model_dump(), **{name: {**config.model_dump()[name], **values} for name, values in sections.items()}}
    )


@pytest.fixture(scope="module")
def pretrain_config(tiny_config):
    return changed(
        tiny_config,
        pretrain={
            "length": 32, "steps": 24, "head_steps": 6, "batch_size": 8, "gradient_accumulation": 2, "learning_rate": 2e-3,
            "held_out": 0.2, "held_out_sequences": 20, "checkpoint_every": 8,
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def crawl(tmp_path_factory, gold_articles):
    return write_jsonl(tmp_path_factory.mktemp("crawl") / "crawl.jsonl", [*gold_articles[24:90], {"text": 3}])


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, crawl, pretrain_config):
    out = tmp_path_factory.mktemp("pretrained") / "encoder"
    return out, pretrain.pretrain([str(crawl)], out, pretrain_config)


def test_pretraining_lowers_the_held_out_loss_and_says_so(pretrained, crawl, pretrain_config):
    out, run = pretrained
    held = run["held_out"]
    assert held["after"]["loss"] < held["before"]["loss"] - 0.3
    assert held["after"]["perplexity"] == pytest.approx(np.exp(held["after"]["loss"]), rel=0.01)
    assert {"6", "8", "16", "24"} <= set(held["loss_by_step"])
    assert run["counts"]["rejects"] == 1
    assert run["counts"]["rows"] == 66
    assert run["encoder"]["new_head"]
    assert run["inputs"] == {"crawl.jsonl": file_digest(crawl)}
    assert not out.with_name("encoder.checkpoints").exists()
    assert pretrain.pretrain([str(crawl)], out, pretrain_config)["unchanged"]
    with pytest.raises(NetralError, match="exists"):
        pretrain.pretrain([str(crawl)], out, changed(pretrain_config, pretrain={"seed": 1}))


def test_a_pretrained_encoder_loads_and_is_trained_on(pretrained, tiny_config, tiny_encoder):
    from transformers import AutoModel, AutoModelForMaskedLM

    out, _ = pretrained
    before, after = AutoModel.from_pretrained(tiny_encoder), AutoModel.from_pretrained(out)
    name = "encoder.layer.0.attention.self.query.weight"
    assert (before.state_dict()[name] != after.state_dict()[name]).any()
    model = AutoModelForMaskedLM.from_pretrained(out)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    config = changed(tiny_config, model={"encoder": str(out)})
    tokenizer = load_tokenizer(str(out))
    classifier = load_classifier(config, tokenizer)
    assert (classifier.base_model.state_dict()[name] == after.state_dict()[name]).all()
    _, new_head = load_masked_lm(config, tokenizer)
    assert not new_head  # going on needs no steps for the head


def test_the_encoder_rests_while_the_new_head_learns(tmp_path, crawl, pretrain_config, tiny_encoder, monkeypatch):
    from transformers import AutoModel

    started = AutoModel.from_pretrained(tiny_encoder).state_dict()
    differing = {}
    real = pretrain._EvaluateAt.on_step_end

    def looks(self, args, state, control, model=None, **kwargs):
        now = model.base_model.state_dict()
        differing[state.global_step] = any((now[name].float() != started[name].float()).any() for name in now if name in started)
        real(self, args, state, control, **kwargs)

    monkeypatch.setattr(pretrain._EvaluateAt, "on_step_end", looks)
    pretrain.pretrain([str(crawl)], tmp_path / "out", changed(pretrain_config, pretrain={"steps": 10}))
    assert not any(differing[step] for step in range(1, 7))
    assert differing[9]


def test_pretraining_resumed_after_a_kill_gives_the_same_weights(tmp_path, crawl, pretrain_config, pretrained, monkeypatch):
    real = pretrain.ProgressCallback.on_step_end

    def dies(self, args, state, control, **kwargs):
        if state.global_step == 13:
            raise Killed
        real(self, args, state, control, **kwargs)

    out = tmp_path / "encoder"
    monkeypatch.setattr(pretrain.ProgressCallback, "on_step_end", dies)
    with pytest.raises(Killed):
        pretrain.pretrain([str(crawl)], out, pretrain_config)
    monkeypatch.setattr(pretrain.ProgressCallback, "on_step_end", real)
    monkeypatch.setattr("training.fitting.sequences.read_files", None)  # the crawl is not packed again
    with pytest.raises(NetralError, match="--resume"):
        pretrain.pretrain([str(crawl)], out, pretrain_config)
    run = pretrain.pretrain([str(crawl)], out, pretrain_config, resume=True)
    assert run["resumed"]
    assert run["held_out"] == pretrained[1]["held_out"]
    assert (out / "model.safetensors").read_bytes() == (pretrained[0] / "model.safetensors").read_bytes()


def test_layers_are_cut_first_and_too_little_text_is_refused(tmp_path, crawl, pretrain_config):
    short = changed(pretrain_config, pretrain={"steps": 2, "head_steps": 1, "save_dtype": "fp16"}, model={"layers": 1})
    pretrain.pretrain([str(crawl)], tmp_path / "out", short)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["num_hidden_layers"], config["dtype"]) == (1, "float16")
    few = write_jsonl(tmp_path / "few.jsonl", [{"text": "ASN harus netral."}])
    with pytest.raises(NetralError, match="too few"):
        pretrain.pretrain([str(few)], tmp_path / "other", short)
    with pytest.raises(NetralError, match="reads 512 tokens"):
        pretrain.pretrain([str(crawl)], tmp_path / "long", changed(pretrain_config, pretrain={"length": 600}))


def test_the_commands_say_what_they_made(tmp_path, crawl, small_data, tiny_encoder, tiny_model):
    from support import ROOT
    from typer.testing import CliRunner

    from netral.cli import app

    recipe = ["-c", ROOT / "configs/recipes/tiny.yaml", "--set", f"model.encoder={tiny_encoder}"]
    few = ["--set", "pretrain={length: 32, steps: 2, head_steps: 1, batch_size: 4, held_out: 0.2}"]
    found = CliRunner().invoke(app, [str(each) for each in ("pretrain", crawl, *recipe, *few, "--out", tmp_path / "encoder")])
    assert "held-out perplexity" in found.stderr, found
    sizes = ["--set", "distill={pool: 20, sentences: 10}", "--set", "train.epochs=1"]
    student = ("distill", crawl, "--teacher", tiny_model, *recipe, *sizes, "--data", small_data, "--out", tmp_path / "student")
    found = CliRunner().invoke(app, [str(each) for each in student])
    assert "and 10 unlabelled sentences" in found.stderr, found
    assert (tmp_path / "student" / "decision.json").is_file()


@pytest.fixture(scope="module")
def distill_config(tiny_config):
    return changed(tiny_config, distill={"pool": 150, "sentences": 60, "focus_from": 0.3, "gold_weight": 2.0}, train={"epochs": 1})


def test_a_student_learns_from_teachers_whose_scores_outlive_a_kill(tmp_path, crawl, small_data, distill_config, tiny_model, monkeypatch):
    out = tmp_path / "student"
    seen = {}

    def dies(config, data, out, record, resume_from):
        table = pq.read_table(data / "train.parquet")
        seen.update(rows=table.to_pylist(), split=load_split(data, "train", config.labels))
        raise Killed

    monkeypatch.setattr(distilling, "_PART", 64)
    monkeypatch.setattr(distilling, "fit", dies)
    with pytest.raises(Killed):
        distilling.distill([str(crawl)], [tiny_model], distill_config, small_data, out)
    monkeypatch.setattr(distilling, "fit", fit.fit)
    monkeypatch.setattr(distilling, "Predictor", None)  # nothing is scored again
    run = distilling.distill([str(crawl)], [tiny_model], distill_config, small_data, out, resume=True)
    gold = load_split(small_data, "train", distill_config.labels)
    assert run["stage"] == "distill"
    assert run["distillation"]["counts"] | {"focus": 0} == {"gold": len(gold), "pool": 150, "kept": 60, "focus": 0}
    assert run["distillation"]["teachers"] == [Predictor(tiny_model).folder.fingerprint]
    assert set(run["inputs"]) == {"crawl.jsonl", "train.parquet", "validation.parquet"}
    assert len(Predictor(out).predict(["ASN harus netral."])) == 1
    assert "labelled by other models" in (out / "README.md").read_text()
    assert not out.with_name("student.checkpoints").exists()
    assert distilling.distill([str(crawl)], [tiny_model], distill_config, small_data, out)["unchanged"]

    split, soft = seen["split"], seen["rows"][len(gold) :]
    assert split.weights.tolist() == [2.0] * len(gold) + [1.0] * 60
    assert (split.targets[: len(gold)] == gold.truth).all()
    answers = Predictor(tiny_model).predict([row["sentence"] for row in soft])
    expected = [[answer.scores[label] for label in distill_config.labels] for answer in answers]
    assert split.targets[len(gold) :] == pytest.approx(np.array(expected), abs=6e-4)  # predictions are rounded to three decimals


def test_sentences_of_the_data_set_are_not_learnt_from_the_crawl(tmp_path, small_articles, small_data, distill_config):
    held = distilling._sentences(small_data, "test")[0]
    more = write_jsonl(tmp_path / "more.jsonl", [{"text": f"{held.upper()}\nCamat meninjau jembatan yang baru selesai dibangun."}])
    rows = distilling._pool(distill_config, [small_articles, more], small_data, tmp_path / "pool.parquet")
    assert [row["sentence"] for row in rows] == ["Camat meninjau jembatan yang baru selesai dibangun."]


def test_a_teacher_of_other_labels_is_refused(tmp_path, crawl, small_data, distill_config, tiny_model):
    other = distill_config.model_copy(update={"labels": ["warning"]})
    with pytest.raises(NetralError, match="its labels are"):
        distilling.distill([str(crawl)], [tiny_model], other, small_data, tmp_path / "x")
    with pytest.raises(NetralError, match="no teacher"):
        distilling.distill([str(crawl)], [], distill_config, small_data, tmp_path / "x")


def test_weights_and_soft_labels_are_optional_columns(tmp_path, small_data, tiny_config):
    table = pq.read_table(small_data / "train.parquet").slice(0, 4)
    labels = tiny_config.labels
    soft = pa.array([None, dict.fromkeys(labels, 0.25), None, None], type=pa.struct([(label, pa.float64()) for label in labels]))
    table = table.append_column("weight", pa.array([0.5, None, 1.0, 2.0])).append_column("soft", soft)
    pq.write_table(table, tmp_path / "train.parquet")
    rows = load_split(tmp_path, "train", labels)
    assert rows.weights.tolist() == [0.5, 1.0, 1.0, 2.0]
    assert rows.targets[1].tolist() == [0.25] * 4
    assert (rows.targets[[0, 2, 3]] == rows.truth[[0, 2, 3]]).all()
    assert (rows.take([3, 1]) + rows).weights.tolist() == [2.0, 1.0, 0.5, 1.0, 1.0, 2.0]


def test_out_of_fold_scores_decide_and_a_kill_costs_one_fold(tmp_path, small_data, tiny_config, tiny_model, monkeypatch):
    config = changed(tiny_config, decision={"folds": 3})
    out, real, calls = tmp_path / "model", fit.fold_logits, []

    def counting(config, rows, held, folder, epochs):
        calls.append((set(rows.sentence_ids), set(held.sentence_ids), set(rows.groups) & set(held.groups), epochs))
        if len(calls) == 2:
            raise Killed
        return real(config, rows, held, folder, epochs)

    monkeypatch.setattr(fit, "fold_logits", counting)
    with pytest.raises(Killed):
        fit.train(config, small_data, out)
    assert not out.exists()
    run = fit.train(config, small_data, out, resume=True)
    assert len(calls) == 4  # one fold, the killed one, and that one and the last again
    train, validation = (load_split(small_data, split, config.labels) for split in ("train", "validation"))
    everything = {*train.sentence_ids, *validation.sentence_ids}
    for trained, held, shared, epochs in calls:
        assert trained | held == everything
        assert not trained & held
        assert not shared
        assert epochs == run["best_epoch"]
    assert run["decision"]["chosen_on"]["split"] == "train and validation, out of 3 folds"
    assert run["decision"]["chosen_on"]["sentences"] == len(everything)
    # The model itself is the one that is trained without folds.
    assert (out / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    assert same_training(tmp_path / "model.out-of-fold.parquet", out)
    assert not same_training(tmp_path / "model.out-of-fold.parquet", tiny_model)
    scores = pq.read_table(tmp_path / "model.out-of-fold.parquet").to_pylist()
    assert {row["sentence_id"] for row in scores} == everything
    assert all(0 <= row["scores"]["warning"] <= 1 for row in scores)
    one = scores[0]
    fitted = run["decision"]["calibration"]["warning"]
    z = fitted["slope"] * one["logits"]["warning"] + fitted["offset"]
    assert one["scores"]["warning"] == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-6)
    assert not out.with_name("model.checkpoints").exists()


def test_accumulated_steps_average_the_loss(tmp_path, small_data, tiny_config):
    """Two batches of four accumulated are one batch of eight; the Trainer alone would add their losses up."""
    from training.fitting.trainer import BaseTrainer

    norms = {}
    for name, batch, accumulation in (("whole", 8, 1), ("parts", 4, 2)):
        config = changed(
            tiny_config, train={"batch_size": batch, "gradient_accumulation": accumulation, "precision": "fp32"}, model={"dropout": 0}
        )
        rows = load_split(small_data, "train", config.labels).take(range(8))
        trainer, _ = fit.new_trainer(config, rows, None, tmp_path / name)
        assert isinstance(trainer, BaseTrainer)
        trainer.args.max_steps = 1
        for module in trainer.model.modules():
            if hasattr(module, "p"):
                module.p = 0.0
        trainer.args.logging_strategy, trainer.args.logging_steps = "steps", 1
        trainer.train()
        norms[name] = next(entry["grad_norm"] for entry in trainer.state.log_history if "grad_norm" in entry)
    assert norms["parts"] == pytest.approx(norms["whole"], rel=1e-3)
