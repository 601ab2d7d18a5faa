"""Every stage on a tiny model, through the functions the commands call."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from support import GOLD, read_jsonl, write_jsonl

from inference import Predictor
from inference.jobs.job import label, split
from netral.config import Config, load_config
from netral.errors import NetralError
from netral.io.writers import parquet_schema
from training.data.prepare import prepare
from training.evaluation.assess import evaluate


def test_prepared_data_opens_with_the_datasets_library(small_data, tmp_path):
    import datasets

    loaded = datasets.load_dataset(str(small_data), cache_dir=str(tmp_path))
    assert set(loaded) == {"train", "validation", "test"}
    run = json.loads((small_data / "run.json").read_text())
    assert {name: len(loaded[name]) for name in loaded} == {name: c["sentences"] for name, c in run["counts"]["splits"].items()}
    assert set(loaded["train"][0]) == {"article_id", "sentence_id", "start", "end", "sentence", "labels", "group", "meta"}
    articles = [set(loaded[name]["article_id"]) for name in loaded]
    assert sum(map(len, articles)) == len(set.union(*articles))


def test_every_gold_sentence_is_in_the_data_or_in_the_rejects(small_data, small_articles, gold_labels):
    ids = {row["id"] for row in read_jsonl(small_articles)}
    run = json.loads((small_data / "run.json").read_text())["counts"]
    reasons = run["rejects"]
    wanted = sum(row["article_id"] in ids for row in gold_labels)
    assert run["labelled"] + reasons.get("gold_not_matched", 0) == wanted
    assert reasons["gold_without_article"] > 0  # label rows of the articles that this input does not hold
    assert len(read_jsonl(small_data / "rejects.jsonl")) == sum(reasons.values())


def test_near_duplicate_articles_stay_together(tmp_path, tiny_config, gold_articles, gold_labels):
    articles, labels = gold_articles[:20], [row for row in gold_labels if row["article_id"] in {a["id"] for a in gold_articles[:20]}]
    copies = [{**row, "id": row["id"] + "-copy"} for row in articles]
    write_jsonl(tmp_path / "a.jsonl", articles + copies)
    write_jsonl(tmp_path / "labels.jsonl", labels + [{**row, "article_id": row["article_id"] + "-copy"} for row in labels])
    config = tiny_config.model_copy(update={"prepare": tiny_config.prepare.model_copy(update={"gold": str(tmp_path / "labels.jsonl")})})
    prepare([str(tmp_path / "a.jsonl")], tmp_path / "data", config)
    where = {}
    for name in ("train", "validation", "test"):
        for article in pq.read_table(tmp_path / "data" / f"{name}.parquet")["article_id"].to_pylist():
            where[article] = name
    assert all(where[row["id"]] == where[row["id"] + "-copy"] for row in articles)
    audit = json.loads((tmp_path / "data" / "leak_audit.json").read_text())
    assert audit["highest_cross_split_similarity"] < 0.6
    assert audit["articles_in_two_splits"] == []


def test_sentence_records_with_labels_can_be_trained_on(tmp_path):
    rows = [{"sentence": f"ASN nomor {i} wajib netral di daerahnya.", "article_id": str(i), "labels": ["warning"]} for i in range(40)]
    rows += [{"sentence": f"Harga cabai naik {i} persen.", "article_id": f"x{i}", "labels": []} for i in range(40)]
    rows += [{"sentence": "Tanpa label."}, {"sentence": "Label aneh.", "labels": ["strange"]}]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    found = prepare([str(path)], tmp_path / "data", load_config(None, ["prepare.near_duplicate=1.0"]))
    assert found["counts"]["labelled"] == 80
    assert found["counts"]["unlabelled"] == 1
    assert found["counts"]["rejects"] == {"unknown_label": 1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"article_id": "gold-001"}, ":1: not a label row"),
        ({"article_id": "gold-001", "start": 0, "end": 4, "sentence": "ASN!", "labels": ["x"]}, "unknown label 'x'"),
        ({"article_id": "gold-001", "start": 4, "end": 2, "sentence": "ASN!", "labels": []}, "no span"),
        ({"article_id": "gold-001", "start": 0, "end": 4, "sentence": "ASN!", "labels": []}, "does not hold this sentence"),
    ],
)
def test_a_wrong_label_file_is_refused_with_its_row(tmp_path, row, message):
    gold = write_jsonl(tmp_path / "labels.jsonl", [row])
    config = load_config(None, [f"prepare.gold={gold}"])
    with pytest.raises(NetralError, match=message):
        prepare([str(GOLD / "articles.jsonl")], tmp_path / "data", config)
    assert not (tmp_path / "data").exists()


def test_input_without_any_label_is_refused(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"text": "ASN harus netral."}, {"text": 3}])
    with pytest.raises(NetralError, match=r"no sentence with a gold label.*1 wrong_type"):
        prepare([str(tmp_path / "a.jsonl")], tmp_path / "data", Config())


def test_a_second_run_does_nothing_and_a_changed_one_is_refused(tmp_path, small_articles, tiny_config):
    out = tmp_path / "data"
    assert "unchanged" not in prepare([str(small_articles)], out, tiny_config)
    before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    assert prepare([str(small_articles)], out, tiny_config)["unchanged"]
    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == before
    other = tiny_config.model_copy(update={"prepare": tiny_config.prepare.model_copy(update={"seed": 1})})
    with pytest.raises(NetralError, match="exists"):
        prepare([str(small_articles)], out, other)
    assert "unchanged" not in prepare([str(small_articles)], out, other, overwrite=True)


def test_the_model_folder_loads_with_plain_transformers(tiny_model, gold_labels):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    sentences = [row["sentence"] for row in gold_labels[:30]]
    ours = Predictor(tiny_model).logits(sentences)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    assert model.config.problem_type == "multi_label_classification"
    plain = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None, function_to_apply="sigmoid", truncation=True)
    for row, found in zip(ours, plain(sentences), strict=True):
        scores = {each["label"]: each["score"] for each in found}
        expected = dict(zip(model.config.id2label.values(), 1 / (1 + np.exp(-row)), strict=True))
        # Padding to a step of eight changes the order of some sums.
        assert scores == pytest.approx(expected, abs=1e-4)


def test_decision_and_card_come_with_the_model(tiny_model):
    decision = json.loads((tiny_model / "decision.json").read_text())
    assert decision["chosen_on"]["split"] == "validation"
    assert all(0 < t < 1 for t in decision["thresholds"].values())
    run = json.loads((tiny_model / "run.json").read_text())
    assert run["libraries"]["torch"]
    assert run["counts"]["truncated"]["train"] >= 0
    assert "model" in (tiny_model / "README.md").read_text()
    assert not list(tiny_model.glob("*.bin")) + list(tiny_model.glob("*.pt"))


class Killed(Exception):
    pass


def test_resume_after_a_kill_gives_the_same_model(tmp_path, small_data, tiny_config, tiny_model, monkeypatch):
    import training.fitting.fit as fit

    real = fit.ProgressCallback.on_step_end
    steps = []

    def dies_in_the_second_epoch(self, args, state, control, **kwargs):
        steps.append(state.global_step)
        if state.epoch > 1.3:
            raise Killed
        real(self, args, state, control, **kwargs)

    out = tmp_path / "model"
    monkeypatch.setattr(fit.ProgressCallback, "on_step_end", dies_in_the_second_epoch)
    with pytest.raises(Killed):
        fit.train(tiny_config, small_data, out)
    assert not out.exists()
    monkeypatch.setattr(fit.ProgressCallback, "on_step_end", real)
    run = fit.train(tiny_config, small_data, out, resume=True)
    assert run["resumed"]
    assert not out.with_name("model.checkpoints").exists()
    for name in ("model.safetensors", "decision.json", "tokenizer.json", "config.json"):
        assert (out / name).read_bytes() == (tiny_model / name).read_bytes(), name


def test_which_checkpoint_is_resumed(tmp_path):
    from training.fitting.trainer import resume_point

    left = tmp_path / "model.checkpoints"

    def leave(fingerprint, *whole):
        left.mkdir(exist_ok=True)
        (left / "netral_fingerprint.json").write_text(json.dumps({"fingerprint": fingerprint}))
        for step in (7, 30, 200):
            (left / f"checkpoint-{step}").mkdir(exist_ok=True)
            if step in whole:
                (left / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")

    leave("wanted", 7, 30)  # killed while it wrote the third
    assert resume_point(left, "wanted", True, False) == str(left / "checkpoint-30")
    assert not (left / "checkpoint-200").exists()
    with pytest.raises(NetralError, match="--resume"):
        resume_point(left, "wanted", False, False)
    leave("another", 7)
    assert resume_point(left, "wanted", True, False) is None
    assert not (left / "checkpoint-7").exists()
    (left / "netral_fingerprint.json").unlink()
    with pytest.raises(NetralError, match="did not write"):
        resume_point(left, "wanted", True, True)


def test_resume_counts_the_epochs_without_improvement_on(tmp_path, small_data, tiny_config, monkeypatch):
    """Early stopping after a resume happens in the epoch in which it would have happened anyway."""
    import training.fitting.fit as fit

    config = tiny_config.model_copy(
        update={
            "train": tiny_config.train.model_copy(
                update={"epochs": 6, "early_stopping_patience": 2, "learning_rate": 1e-30, "precision": "fp32"}
            )
        }
    )
    # Nothing gets better: stopped after the third epoch. (A rate of 1e-9, or bf16, still moves a score over another.)
    assert fit.train(config, small_data, tmp_path / "straight")["epochs_run"] == 3
    real = fit.ProgressCallback.on_step_end

    def dies(self, args, state, control, **kwargs):
        if state.epoch > 2.3:
            raise Killed
        real(self, args, state, control, **kwargs)

    monkeypatch.setattr(fit.ProgressCallback, "on_step_end", dies)
    with pytest.raises(Killed):
        fit.train(config, small_data, tmp_path / "resumed")
    monkeypatch.setattr(fit.ProgressCallback, "on_step_end", real)
    assert fit.train(config, small_data, tmp_path / "resumed", resume=True)["epochs_run"] == 3
    assert (tmp_path / "resumed" / "model.safetensors").read_bytes() == (tmp_path / "straight" / "model.safetensors").read_bytes()


def test_the_report_says_what_it_measured(tmp_path, tiny_model, small_data, tiny_config):
    report = evaluate(tiny_model, small_data, tmp_path / "report", tiny_config)
    assert set(report["systems"]) == {"model", "rules", "tfidf"}
    for system in report["systems"].values():
        low, high = system["macro_f1_interval"]
        assert 0 <= low <= high <= 1
    gold = {row["sentence_id"]: row["labels"] for row in pq.read_table(small_data / "test.parquet").to_pylist()}
    errors = read_jsonl(tmp_path / "report" / "errors.jsonl")
    assert errors
    assert all(row["gold"] == gold[row["sentence_id"]] and row["labels"] != row["gold"] for row in errors)
    right = report["systems"]["model"]["exact_match"] * report["data"]["sentences"]
    assert len(errors) == report["data"]["sentences"] - round(right)
    text = (tmp_path / "report" / "report.md").read_text()
    assert "bootstrap over articles" in text
    assert "rules (regular expressions)" in text
    assert evaluate(tiny_model, small_data, tmp_path / "report", tiny_config)["unchanged"]
    assert "behaviour" not in report


def test_the_report_holds_the_behaviour_suite_and_follows_its_cases(tmp_path, tiny_model, small_data, tiny_config):
    cases = tmp_path / "cases"
    cases.mkdir()
    row = "cases:\n  - {id: a, rule: r, text: ASN harus netral., present: [warning], absent: rest}\n"
    # Whatever the model says, one of these two fails.
    opposites = (
        "  - {id: b, rule: r, text: Hujan turun., present: [warning]}\n  - {id: c, rule: r, text: Hujan turun., absent: [warning]}\n"
    )
    (cases / "plain.yaml").write_text(row)
    first = evaluate(tiny_model, small_data, tmp_path / "report", tiny_config, behaviour=cases)["behaviour"]
    assert first["groups"]["plain"]["cases"] == 1
    assert evaluate(tiny_model, small_data, tmp_path / "report", tiny_config, behaviour=cases)["unchanged"]
    (cases / "plain.yaml").write_text(row + opposites)
    second = evaluate(tiny_model, small_data, tmp_path / "report", tiny_config, behaviour=cases, overwrite=True)["behaviour"]
    assert second["groups"]["plain"]["cases"] == 3
    (failed,) = [each for each in second["failed"] if each["id"] in "bc"]
    assert set(failed["sentences"][0]["scores"]) == set(tiny_config.labels)
    text = (tmp_path / "report" / "report.md").read_text()
    assert "## Behaviour" in text
    assert "Hujan turun." in text


@pytest.fixture(scope="module")
def crawl(tmp_path_factory, gold_articles):
    """A folder of mixed files, with one bad row."""
    folder = tmp_path_factory.mktemp("crawl")
    for row in gold_articles[24:28]:
        (folder / f"{row['id']}.txt").write_text(row["text"], encoding="utf-8")
    write_jsonl(folder / "more.jsonl", [{**gold_articles[29], "note": {"a": [1]}}, {"text": 5}, {"sentence": "ASN harus netral."}])
    return folder


def run_label(crawl, out, model, **kwargs):
    return label([str(crawl)], str(out), Config(), model=model, **kwargs)


def test_every_row_ends_in_the_output_or_in_the_rejects(tmp_path, crawl, tiny_model):
    summary = run_label(crawl, tmp_path / "out.jsonl", tiny_model)["counts"]
    rows = read_jsonl(tmp_path / "out.jsonl")
    rejects = read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")
    assert summary["rows_in"] == 7
    assert summary["rejects"] == {"wrong_type": 1}
    assert [(r["row"], r["reason"]) for r in rejects] == [(2, "wrong_type")]
    assert len(rows) == summary["sentences_out"]
    assert len({row["article_id"] for row in rows}) == 6
    assert len({row["sentence_id"] for row in rows}) == len(rows)
    more = [row for row in rows if row["meta"].get("note")]
    assert more
    assert all(row["meta"]["note"] == {"a": [1]} for row in more)
    texts = {p.stem: p.read_text(encoding="utf-8") for p in crawl.glob("*.txt")}
    for row in rows:
        names = "article_id sentence_id start end sentence labels scores model truncated meta provenance citations"
        assert list(row) == names.split()
        if row["article_id"] in texts:
            assert texts[row["article_id"]][row["start"] : row["end"]] == row["sentence"]


@pytest.mark.parametrize("backend", ["torch", "fake"])
def test_the_same_bytes_for_any_batch_and_order_and_twice(tmp_path, crawl, tiny_model, backend):
    def output(name, inputs, **label_settings):
        config = Config().model_copy(update={"label": Config().label.model_copy(update=label_settings)})
        label([str(p) for p in inputs], str(tmp_path / name), config, model=tiny_model, backend=backend)
        return (tmp_path / name).read_bytes()

    files = sorted(crawl.iterdir())
    first = output("1.jsonl", files)
    assert first == output("2.jsonl", files)
    assert first == output("3.jsonl", files[::-1], batch_tokens=64, window=3)
    assert first == output("4.jsonl", [crawl], batch_tokens=100_000)
    assert output("1.parquet", files) == output("2.parquet", files[::-1], batch_tokens=64, window=3)


def test_sentences_read_as_such_score_like_those_of_their_article(tmp_path, crawl, tiny_model):
    run_label(crawl, tmp_path / "articles.jsonl", tiny_model)
    split([str(crawl)], str(tmp_path / "sentences.jsonl"), Config())
    label([str(tmp_path / "sentences.jsonl")], str(tmp_path / "again.jsonl"), Config(), model=tiny_model)
    # `netral split` then `netral label` is the same as `netral label`, offsets, ids and meta included.
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "articles.jsonl").read_bytes()


def test_parquet_and_jsonl_hold_the_same_rows(tmp_path, crawl, tiny_model):
    run_label(crawl, tmp_path / "out.jsonl", tiny_model, backend="fake")
    run_label(crawl, tmp_path / "out.parquet", tiny_model, backend="fake")
    run_label(crawl, f"{tmp_path}/folder/", tiny_model, backend="fake")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.equals(parquet_schema(Config().labels), check_metadata=True)
    rows = [{**row, "meta": json.loads(row["meta"])} for row in table.to_pylist()]
    assert rows == read_jsonl(tmp_path / "out.jsonl")
    assert pq.read_table(tmp_path / "folder" / "part-00000.parquet").equals(table)
    assert (tmp_path / "folder" / "rejects.jsonl").read_bytes() == (tmp_path / "out.jsonl.rejects.jsonl").read_bytes()


def test_a_second_label_run_says_so_and_changed_input_is_refused(tmp_path, crawl, tiny_model):
    mine = shutil.copytree(crawl, tmp_path / "crawl")
    out = tmp_path / "out.jsonl"
    run_label(mine, out, tiny_model, backend="fake")
    assert run_label(mine, out, tiny_model, backend="fake")["unchanged"]
    (mine / "new.txt").write_text("Berita baru tentang ASN.")
    with pytest.raises(NetralError, match="exists"):
        run_label(mine, out, tiny_model, backend="fake")
    assert run_label(mine, out, tiny_model, backend="fake", overwrite=True)["counts"]["articles"] == 6


def test_an_output_inside_the_input_folder_is_not_read(tmp_path, crawl, tiny_model):
    mine = shutil.copytree(crawl, tmp_path / "crawl")
    first = run_label(mine, mine / "out.jsonl", tiny_model, backend="fake")
    assert run_label(mine, mine / "out.jsonl", tiny_model, backend="fake")["unchanged"]
    again = run_label(mine, mine / "out.jsonl", tiny_model, backend="fake", overwrite=True)
    assert again.get("unchanged") or again["counts"] == first["counts"]


def test_nothing_usable_writes_nothing(tmp_path, tiny_model):
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.txt").write_text("Baca juga: Judul lain")
    with pytest.raises(NetralError, match=r"a\.txt:1: empty"):
        label([str(tmp_path / "*.txt")], str(tmp_path / "out.jsonl"), Config(), model=tiny_model, backend="fake")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_outputs_may_not_be_one_file(tmp_path):
    (tmp_path / "a.txt").write_text("ASN harus netral.")
    out = str(tmp_path / "s.jsonl")
    for named in ({"rejects": out}, {"dropped": out}, {"rejects": str(tmp_path / "a.txt")}):
        with pytest.raises(NetralError, match="one file"):
            split([str(tmp_path / "a.txt")], out, Config(), **named)
    (tmp_path / "mine.jsonl").write_text("mine")
    with pytest.raises(NetralError, match="exists"):
        split([str(tmp_path / "a.txt")], out, Config(), dropped=str(tmp_path / "mine.jsonl"))


def test_up_to_date_means_everything_is_there_and_the_same(tmp_path):
    for folder, text in (("p", "ASN netral."), ("r", "Ia pergi.")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.txt").write_text(text)
    inputs, out = [str(tmp_path / "p"), str(tmp_path / "r")], str(tmp_path / "s.jsonl")
    split(inputs, out, Config())
    assert split(inputs, out, Config())["unchanged"]
    again = split(inputs, out, Config(), dropped=str(tmp_path / "d.jsonl"), overwrite=True)
    assert "unchanged" not in again
    (tmp_path / "p" / "1.txt").write_text("Ia pergi.")
    (tmp_path / "r" / "1.txt").write_text("ASN netral.")
    assert "unchanged" not in split(inputs, out, Config(), overwrite=True)


def test_a_folder_with_a_file_missing_is_not_up_to_date(tmp_path, small_articles, tiny_config):
    prepare([str(small_articles)], tmp_path / "data", tiny_config)
    (tmp_path / "data" / "test.parquet").unlink()
    with pytest.raises(NetralError, match="exists"):
        prepare([str(small_articles)], tmp_path / "data", tiny_config)


def test_split_writes_what_cleaning_dropped(tmp_path):
    text = "ASN harus netral.\nBaca juga: Judul lain\nIa pergi."
    (tmp_path / "a.txt").write_text(text)
    split([str(tmp_path / "a.txt")], str(tmp_path / "s.jsonl"), Config(), dropped=str(tmp_path / "d.jsonl"))
    (drop,) = read_jsonl(tmp_path / "d.jsonl")
    assert drop == {"article_id": "a", "start": 18, "end": 39, "rule": "teaser", "text": text[18:39]}
    assert [row["sentence_id"] for row in read_jsonl(tmp_path / "s.jsonl")] == ["a:1", "a:2"]


# Unlike each other, so that only a copy is a near-duplicate.
