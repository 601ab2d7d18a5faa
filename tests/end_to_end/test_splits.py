"""Which split sentences go to, on data sets made for the purpose."""

import json
import subprocess

import pyarrow.parquet as pq
import pytest
from support import ROOT, write_jsonl

from netral.config import load_config
from netral.errors import NetralError
from training.data.prepare import prepare

PLACES = "Ambon Banjarbaru Cirebon Denpasar Enrekang Fakfak Gunungkidul Hulu Jayawijaya Kotawaringin Lubuklinggau Morotai".split()


def splits_of(data):
    return {
        article: split
        for split in ("train", "validation", "test")
        for article in pq.read_table(data / f"{split}.parquet")["article_id"].to_pylist()
    }


def sentences_of(data):
    return {
        text: split
        for split in ("train", "validation", "test")
        for text in pq.read_table(data / f"{split}.parquet")["sentence"].to_pylist()
    }


def articles(numbers, labels):
    """Sentences of which no two are near-duplicates."""
    said = "Camat {place} ke-{n} mengingatkan {n}{n}{n} pegawai {n}-{place} agar netral {n}."
    return [{"article_id": f"a{n}", "sentence": said.format(place=PLACES[n % len(PLACES)], n=n), "labels": labels} for n in numbers]


def test_articles_of_an_earlier_data_set_stay_in_their_splits(tmp_path):
    config = load_config(None, ["prepare.near_duplicate=0.9"])
    first = write_jsonl(tmp_path / "first.jsonl", articles(range(40), ["warning"]))
    prepare([str(first)], tmp_path / "data", config)
    before = splits_of(tmp_path / "data")
    # Labels that change, and new articles, move others if nothing holds them.
    changed = write_jsonl(tmp_path / "changed.jsonl", articles(range(0, 40, 2), ["permission"]) + articles(range(1, 60, 2), []))
    prepare([str(changed)], tmp_path / "free", config)
    free = splits_of(tmp_path / "free")
    assert any(free[article] != split for article, split in before.items())
    run = prepare([str(changed)], tmp_path / "data", config, keep_splits=tmp_path / "data", overwrite=True)
    after = splits_of(tmp_path / "data")
    assert {article: after[article] for article in before} == before
    assert run["counts"]["moved"] == 0
    # The new ones fill up what the kept ones left: 50 articles by 0.6, 0.15, 0.25.
    sizes = [sum(split == name for split in after.values()) for name in ("train", "validation", "test")]
    assert sizes == [pytest.approx(30, abs=2), pytest.approx(7.5, abs=2), pytest.approx(12.5, abs=2)]


def test_a_new_article_that_joins_two_splits_takes_both_to_the_held_out_one(tmp_path):
    config = load_config(None, ["prepare.near_duplicate=0.9"])
    rows = articles(range(30), ["warning"])
    prepare([str(write_jsonl(tmp_path / "first.jsonl", rows))], tmp_path / "data", config)
    before = splits_of(tmp_path / "data")
    trained = next(row for row in rows if before[row["article_id"]] == "train")
    tested = next(row for row in rows if before[row["article_id"]] == "test")
    copies = [{**row, "article_id": "copy"} for row in (trained, tested)]
    second = write_jsonl(tmp_path / "second.jsonl", rows + copies)
    run = prepare([str(second)], tmp_path / "second", config, keep_splits=tmp_path / "data")
    after = splits_of(tmp_path / "second")
    assert {after[name] for name in ("copy", trained["article_id"], tested["article_id"])} == {"test"}
    assert run["counts"]["moved"] == 1


def test_the_second_time_nothing_is_done(tmp_path):
    first = write_jsonl(tmp_path / "first.jsonl", articles(range(20), ["warning"]))
    config = load_config(None, ["prepare.near_duplicate=0.9"])
    prepare([str(first)], tmp_path / "data", config)
    more = write_jsonl(tmp_path / "more.jsonl", articles(range(20, 26), ["warning"]))
    again = [[str(first), str(more)], tmp_path / "data", config]
    assert "unchanged" not in prepare(*again, keep_splits=tmp_path / "data", overwrite=True)
    assert prepare(*again, keep_splits=tmp_path / "data", overwrite=True)["unchanged"]
    prepare(again[0], tmp_path / "other", config, keep_splits=tmp_path / "data")
    assert prepare(again[0], tmp_path / "other", config, keep_splits=tmp_path / "data")["unchanged"]


def test_articles_without_ids_are_known_by_their_sentences(tmp_path):
    """Ids that are made of rows shift when a row comes in before them."""
    config = load_config(None, ["prepare.near_duplicate=0.9"])
    rows = [{"sentence": row["sentence"], "labels": row["labels"]} for row in articles(range(40), ["warning"])]
    path = tmp_path / "rows.jsonl"
    prepare([str(write_jsonl(path, rows))], tmp_path / "data", config)
    before = sentences_of(tmp_path / "data")
    write_jsonl(path, [{"sentence": "Harga cabai turun di pasar induk sejak dua pekan lalu.", "labels": []}, *rows])
    run = prepare([str(path)], tmp_path / "data", config, keep_splits=tmp_path / "data", overwrite=True)
    after = sentences_of(tmp_path / "data")
    assert {text: after[text] for text in before} == before
    assert run["counts"]["moved"] == 0


def test_what_was_held_out_never_trains(tmp_path):
    rows = articles(range(30), ["warning"])
    config = load_config(None, ["prepare.near_duplicate=0.9"])
    prepare([str(write_jsonl(tmp_path / "a.jsonl", rows))], tmp_path / "data", config)
    before = splits_of(tmp_path / "data")
    tested = [row for row in rows if before[row["article_id"]] == "test"]
    write_jsonl(tmp_path / "a.jsonl", [row for row in rows if row not in tested])
    write_jsonl(tmp_path / "silver.jsonl", tested)
    config = load_config(None, ["prepare.near_duplicate=0.9", "prepare.train_only=silver*"])
    inputs = [str(tmp_path / name) for name in ("a.jsonl", "silver.jsonl")]
    run = prepare(inputs, tmp_path / "second", config, keep_splits=tmp_path / "data")
    assert run["counts"]["rejects"] == {"near_held_out": len(tested)}
    assert not {row["article_id"] for row in tested} & set(splits_of(tmp_path / "second"))


def test_a_damaged_data_set_is_named(tmp_path):
    path = write_jsonl(tmp_path / "first.jsonl", articles(range(20), ["warning"]))
    config = load_config(None, ["prepare.near_duplicate=0.9"])
    prepare([str(path)], tmp_path / "data", config)
    (tmp_path / "data" / "test.parquet").write_bytes(b"PAR1")
    with pytest.raises(NetralError, match="cannot be read"):
        prepare([str(path)], tmp_path / "other", config, keep_splits=tmp_path / "data")


def test_splits_that_are_not_there_or_given_otherwise_are_refused(tmp_path):
    path = write_jsonl(tmp_path / "first.jsonl", articles(range(20), ["warning"]))
    with pytest.raises(NetralError, match="no prepared data set, train"):
        prepare([str(path)], tmp_path / "data", load_config(None), keep_splits=tmp_path)
    config = load_config(None, ["prepare.splits={train: 'first*'}"])
    with pytest.raises(NetralError, match="already says which file"):
        prepare([str(path)], tmp_path / "data", config, keep_splits=tmp_path)


def test_files_that_only_train_never_reach_the_held_out_splits(tmp_path):
    said = "Camat {n} mengingatkan seluruh pegawai di wilayah {n} agar tidak ikut kampanye pasangan calon nomor {n}."
    held = [{"article_id": f"a{n}", "sentence": said.format(n=name), "labels": ["warning"]} for n, name in enumerate(PLACES)]
    (tmp_path / "held.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
    extra = [
        {"article_id": f"x{n}", "sentence": f"Hujan deras turun di {name} sejak pagi tadi.", "labels": []} for n, name in enumerate(PLACES)
    ]
    extra += [{**row, "article_id": f"copy{n}", "sentence": row["sentence"] + " "} for n, row in enumerate(held)]
    (tmp_path / "silver-1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in extra))
    config = load_config(None, ["prepare.train_only=silver-*", "prepare.near_duplicate=0.9", "prepare.train=0.4", "prepare.test=0.45"])
    run = prepare([str(tmp_path / "held.jsonl"), str(tmp_path / "silver-1.jsonl")], tmp_path / "data", config)
    splits = {split: pq.read_table(tmp_path / "data" / f"{split}.parquet").to_pylist() for split in ("train", "validation", "test")}
    assert {row["article_id"][0] for split in ("validation", "test") for row in splits[split]} == {"a"}
    of_held = len(splits["validation"]) + len(splits["test"])
    assert run["counts"]["rejects"] == {"near_held_out": of_held}
    assert of_held >= 5
    assert sum(row["article_id"].startswith("x") for row in splits["train"]) == len(PLACES)
    # The shares are those of the other file alone.
    assert len(splits["test"]) == pytest.approx(0.45 * len(PLACES), abs=1.5)


def test_files_that_only_train_leave_the_other_splits_as_they_are(tmp_path):
    rows = [
        {"article_id": f"a{n}", "sentence": f"Lurah {name} diminta netral pada hari ke-{n}.", "labels": []} for n, name in enumerate(PLACES)
    ]
    write_jsonl(tmp_path / "held.jsonl", rows)
    write_jsonl(
        tmp_path / "a-silver.jsonl",
        [{"article_id": f"x{n}", "sentence": f"{name} dilanda hujan.", "labels": ["warning"]} for n, name in enumerate(PLACES)],
    )
    config = load_config(None, ["prepare.train_only=a-silver*", "prepare.near_duplicate=0.95"])
    prepare([str(tmp_path / "held.jsonl")], tmp_path / "without", config)
    prepare([str(tmp_path / "a-silver.jsonl"), str(tmp_path / "held.jsonl")], tmp_path / "with", config)
    for held in ("validation", "test"):
        tables = [pq.read_table(tmp_path / kind / f"{held}.parquet") for kind in ("with", "without")]
        found = [table["sentence_id"].to_pylist() for table in tables]
        assert found[0] == found[1]
        assert found[0]


def test_the_demo_takes_what_lies_in_its_folder_of_corrections(tmp_path):
    """`make demo` again: every file there counts, and known articles stay in their splits."""

    def prepare_line():
        said = subprocess.run(["make", "-n", "demo", f"DEMO={tmp_path}"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return next(line for line in said.splitlines() if "netral prepare" in line)

    assert "--gold" not in prepare_line()
    (tmp_path / "corrections").mkdir()
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "corrections" / "a file (1).jsonl", [])
    assert f"--gold {tmp_path}/corrections " in prepare_line()
    assert "--keep-splits" not in prepare_line()
    write_jsonl(tmp_path / "data" / "test.parquet", [])
    assert f"--keep-splits {tmp_path}/data " in prepare_line()
