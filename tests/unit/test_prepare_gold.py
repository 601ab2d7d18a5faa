"""Label files of `netral prepare`: their order, what they replace, what matches nothing, and when the stage runs anew."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support import ROOT, read_jsonl, write_jsonl
from typer.testing import CliRunner

from netral.cli import app
from netral.config import load_config
from netral.errors import NetralError

PLACES = "Ambon Bitung Cirebon Dumai Ende Fakfak Garut Hila Idi Jambi Kupang Langsa".split()
ACTS = ["harus netral", "dilarang berkampanye", "boleh memilih", "akan diberi sanksi"]
TEXTS = {
    f"a{i}": f"ASN di {place} {ACTS[i % 4]} dalam pemilu kali ini. Rapat di {place} dibuka pukul {i}." for i, place in enumerate(PLACES)
}
LABELS = [["warning"], ["warning"], ["permission"], ["sanction_threat"]]


def span(article: str, labels: list[str], number: int = 0, **fields) -> dict:
    """A label row of the first or second sentence of an article."""
    cut = TEXTS[article].index(". ") + 1
    start, end = (0, cut) if number == 0 else (cut + 1, len(TEXTS[article]))
    return {"article_id": article, "start": start, "end": end, "sentence": TEXTS[article][start:end], "labels": labels, **fields}


GOLD = [span(article, LABELS[i % 4] if number == 0 else [], number) for i, article in enumerate(TEXTS) for number in (0, 1)]


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "crawl").mkdir()
    write_jsonl(tmp_path / "labels.jsonl", GOLD)
    monkeypatch.chdir(tmp_path)
    return write_jsonl(tmp_path / "crawl/articles.jsonl", [{"id": article, "text": text} for article, text in TEXTS.items()])


def prepare(*args, refused: bool = False) -> str:
    """Run the command on the crawl (or on the inputs that ``args`` begin with) and return what it says."""
    given = args if args and not str(args[0]).startswith("-") else ("crawl", *args)
    found = CliRunner().invoke(app, ["prepare", *map(str, given), "--out", "data", "--set", "read.language=any"])
    assert isinstance(found.exception, NetralError if refused else type(None)), found.exception
    return str(found.exception) if refused else found.stderr


def rows() -> dict[str, dict]:
    """The prepared sentences by id, each with its split."""
    tables = {split: pq.read_table(f"data/{split}.parquet").to_pylist() for split in ("train", "validation", "test")}
    return {row["sentence_id"]: row | {"split": split} for split, table in tables.items() for row in table}


def run() -> dict:
    return json.loads(Path("data/run.json").read_text())


def test_the_later_file_counts_and_the_stage_says_how_many_it_replaced(inputs):
    said = prepare("--gold", "labels.jsonl")
    before = rows()
    assert "got other labels" not in said
    fields = {"sentence_id": "a0:1", "annotator": "Sari", "comment": "extra fields are ignored"}
    # One sentence gets other labels, one loses them, one is confirmed.
    write_jsonl(Path("one.jsonl"), [span("a0", ["permission"], **fields), span("a1", [], annotator="Sari"), span("a2", ["permission"])])
    write_jsonl(Path("two.jsonl"), [span("a0", ["sanction_threat", "warning"]), span("a1", ["warning"])])
    said = prepare("--gold", "labels.jsonl", "--gold", "one.jsonl", "--overwrite")
    assert "one.jsonl: 2 sentences got other labels, 1 the same, 0 had none before" in said
    assert run()["counts"]["corrected"] == 2
    assert [rows()[each]["labels"] for each in ("a0:1", "a1:1", "a2:1")] == [["permission"], [], ["permission"]]
    # A third file takes the second correction back: that sentence has its first labels again.
    prepare("--gold", "labels.jsonl", "--gold", "one.jsonl", "--gold", "two.jsonl", "--overwrite")
    assert run()["counts"]["corrected"] == 1
    assert [rows()[each]["labels"] for each in ("a0:1", "a1:1")] == [["warning", "sanction_threat"], ["warning"]]
    prepare("--gold", "labels.jsonl", "--gold", "two.jsonl", "--gold", "one.jsonl", "--overwrite")
    assert rows()["a0:1"]["labels"] == ["permission"]
    untouched = {each: row for each, row in rows().items() if each not in ("a0:1", "a1:1")}
    assert untouched == {each: before[each] for each in untouched}


def test_a_correction_moves_no_sentence_to_another_split(inputs):
    prepare("--gold", "labels.jsonl")
    before = {each: row["split"] for each, row in rows().items()}
    # Half of the articles turned round: by these labels alone they would be divided otherwise.
    corrections = [span(article, ["regulation_reference"]) for article in list(TEXTS)[::2]]
    write_jsonl(Path("corrections.jsonl"), corrections)
    prepare("--gold", "labels.jsonl", "--gold", "corrections.jsonl", "--overwrite")
    assert {each: row["split"] for each, row in rows().items()} == before
    changed = {(row["article_id"], row["start"]): row["labels"] for row in corrections}
    write_jsonl(Path("merged.jsonl"), [row | {"labels": changed.get((row["article_id"], row["start"]), row["labels"])} for row in GOLD])
    prepare("--gold", "merged.jsonl", "--overwrite")
    assert {each: row["split"] for each, row in rows().items()} != before


def test_a_correction_of_the_sentence_as_cleaning_cut_it_replaces_a_label_of_the_whole_line(inputs):
    """The page gives the sentence's own span, a label file may have had a wider one; both mean the same sentence."""
    whole = span("a0", ["warning"])
    text = "(Ambon) " + TEXTS["a0"]
    articles = [{"id": article, "text": each} for article, each in (TEXTS | {"a0": text}).items()]
    write_jsonl(Path("crawl/articles.jsonl"), articles)
    wide = whole | {"end": whole["end"] + 8, "sentence": text[: whole["end"] + 8]}
    write_jsonl(Path("labels.jsonl"), [wide, *GOLD[2:]])
    narrow = whole | {"start": 8, "end": whole["end"] + 8, "labels": ["permission"]}
    write_jsonl(Path("one.jsonl"), [narrow])
    prepare("--gold", "labels.jsonl", "--gold", "one.jsonl")
    assert rows()["a0:1"]["labels"] == ["permission"]
    assert run()["counts"]["corrected"] == 1
    assert "gold_not_matched" not in run()["counts"]["rejects"]


def test_what_matches_nothing_is_rejected_with_its_file(inputs):
    gone = {"article_id": "gone", "start": 0, "end": 3, "sentence": "ASN", "labels": []}
    inside = span("a0", ["permission"]) | {"start": 0, "end": 3, "sentence": "ASN"}
    write_jsonl(Path("one.jsonl"), [inside, gone, gone | {"start": 4, "end": 7}])
    prepare("--gold", "labels.jsonl", "--gold", "one.jsonl")
    assert run()["counts"]["rejects"] == {"gold_not_matched": 1, "gold_without_article": 1}
    by_reason = {row["reason"]: row for row in read_jsonl(Path("data/rejects.jsonl"))}
    assert by_reason["gold_not_matched"]["detail"].endswith(": ASN")
    assert (by_reason["gold_without_article"]["file"], by_reason["gold_without_article"]["row"]) == ("one.jsonl", 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([span("a0", ["warning"]), span("a0", [])], "one.jsonl:2: other labels than row 1 gives the same sentence"),
        ([span("a0", ["warning"]), span("a0", [], sentence_id="a0:0")], "one.jsonl:2: other labels than row 1 gives the same sentence"),
        ([span("a0", None)], "one.jsonl:1: not a label row"),
        ([span("a0", []), span("a1", "")], "one.jsonl:2: not a label row (`labels` is no list)"),
        ([span("a0", {})], "one.jsonl:1: not a label row (`labels` is no list)"),
        ([span("a0", ["x"])], "one.jsonl:1: unknown label 'x'"),
        ([span("a0", []) | {"sentence": {}}], "one.jsonl:1: `sentence` is no text"),
        ([span("a0", []) | {"sentence": "ASN lain"}], "one.jsonl:1: the article a0 does not hold this sentence"),
    ],
)
def test_a_wrong_correction_is_refused_with_its_row(inputs, content, message):
    write_jsonl(Path("one.jsonl"), content)
    assert message in prepare("--gold", "labels.jsonl", "--gold", "one.jsonl", refused=True)
    assert not Path("data").exists()


def test_a_folder_stands_for_its_files_by_name(inputs):
    Path("rounds/notes").mkdir(parents=True)
    assert "rounds: holds no label file" in prepare("--gold", "rounds", refused=True)
    write_jsonl(Path("rounds/b.jsonl"), [span("a0", ["permission"])])
    write_jsonl(Path("rounds/a.jsonl"), [span("a0", ["sanction_threat"]), span("a1", [])])
    said = prepare("--gold", "labels.jsonl", "--gold", "rounds")
    assert "a.jsonl: 2 sentences got other labels, 0 the same, 0 had none before" in said
    assert [rows()[each]["labels"] for each in ("a0:1", "a1:1")] == [["permission"], []]
    assert "up to date" in prepare("--gold", "labels.jsonl", "--gold", "rounds/a.jsonl", "--gold", "rounds/b.jsonl")


def test_a_row_of_nothing_but_brackets_is_refused(inputs):
    Path("one.jsonl").write_text("[" * 100_000, encoding="utf-8")
    assert "one.jsonl:1: not a label row" in prepare("--gold", "one.jsonl", refused=True)


def test_two_label_files_of_one_name_both_stand_in_the_record(inputs):
    Path("second").mkdir()
    write_jsonl(Path("second/labels.jsonl"), [span("a0", [])])
    prepare("--gold", "labels.jsonl", "--gold", "second/labels.jsonl")
    assert {"labels.jsonl", "labels.jsonl (2)"} < set(json.loads(Path("data/run.json").read_text(encoding="utf-8"))["inputs"])


def test_a_row_that_stands_twice_counts_once(inputs):
    write_jsonl(Path("labels.jsonl"), [*GOLD, GOLD[0]])
    prepare("--gold", "labels.jsonl")
    assert run()["counts"]["rejects"] == {}
    assert run()["counts"]["labelled"] == len(GOLD)


def test_a_missing_file_and_one_among_the_inputs_are_refused(inputs):
    assert "gone.jsonl: no such label file" in prepare("--gold", "labels.jsonl", "--gold", "gone.jsonl", refused=True)
    prepare("--gold", "labels.jsonl")
    assert "gone.jsonl: no such label file" in prepare("--gold", "labels.jsonl", "--gold", "gone.jsonl", refused=True)
    write_jsonl(Path("crawl/one.jsonl"), [span("a0", [])])
    assert "is both input and label file" in prepare("--gold", "crawl/one.jsonl", "--overwrite", refused=True)


def test_the_stage_runs_again_when_a_label_file_or_their_order_changed(inputs):
    write_jsonl(Path("one.jsonl"), [span("a0", [])])
    write_jsonl(Path("two.jsonl"), [span("a0", ["permission"])])
    files = [("--gold", "labels.jsonl"), ("--gold", "one.jsonl"), ("--gold", "two.jsonl")]
    prepare(*sum(files, ()))
    assert "nothing to do" in prepare(*sum(files, ()))
    assert "the output exists" in prepare(*sum([files[0], files[2], files[1]], ()), refused=True)
    assert "the output exists" in prepare(*sum(files[:2], ()), refused=True)
    write_jsonl(Path("two.jsonl"), [span("a0", ["warning"])])
    assert "the output exists" in prepare(*sum(files, ()), refused=True)
    assert "nothing to do" not in prepare(*sum(files, ()), "--overwrite")
    assert rows()["a0:1"]["labels"] == ["warning"]
    assert run()["settings"]["prepare"]["gold"] == ["labels.jsonl", "one.jsonl", "two.jsonl"]


def test_a_configuration_may_list_files_and_those_of_the_command_come_behind(inputs, monkeypatch):
    Path("recipe").mkdir()
    Path("recipe/recipe.yaml").write_text("prepare: {gold: [../labels.jsonl, near.jsonl]}\nread: {language: any}\n")
    write_jsonl(Path("recipe/near.jsonl"), [span("a0", ["permission"]), span("a1", [])])
    write_jsonl(Path("near.jsonl"), [span("a0", [])])  # of this name too, but in the working directory
    prepare("-c", "recipe/recipe.yaml")
    assert [rows()[each]["labels"] for each in ("a0:1", "a1:1")] == [["permission"], []]
    prepare("-c", "recipe/recipe.yaml", "--gold", "near.jsonl", "--overwrite")
    assert [rows()[each]["labels"] for each in ("a0:1", "a1:1")] == [[], []]
    found = load_config("recipe/recipe.yaml").prepare.gold_files
    assert found == [inputs.parent.parent / "labels.jsonl", inputs.parent.parent / "recipe/near.jsonl"]
    assert load_config(ROOT / "configs/recipes/mini.yaml").prepare.gold_files == [ROOT / "data/gold/labels.jsonl"]


def test_sentence_records_are_corrected_by_id_else_by_place(inputs):
    records = [{**span(a, LABELS[i % 4]), "sentence_id": f"s{i}"} for i, a in enumerate(TEXTS)]
    # Without places both begin at 0 and are as long: only the id and the text tell them apart.
    same = [{"article_id": "b", "sentence": text, "labels": []} for text in ("Rapat di Palu ditutup.", "Rapat di Palu ditunda.")]
    unlabelled = {key: value for key, value in span("a0", [], 1, sentence_id="open").items() if key != "labels"}
    write_jsonl(Path("records.jsonl"), [*records, unlabelled, *same])
    place = {"article_id": "b", "start": 0, "end": 22}
    corrections = [
        span("a0", ["permission"], sentence_id="s0"),
        span("a1", []),
        span("a2", ["warning"], sentence_id="renamed"),
        span("a0", ["warning"], 1, sentence_id="open"),
        {**place, "sentence": same[1]["sentence"], "labels": ["permission"]},
        {**place, "sentence": "Rapat di Palu dimulai.", "labels": []},
        {"article_id": "gone", "start": 0, "end": 3, "sentence": "ASN", "labels": []},
    ]
    write_jsonl(Path("one.jsonl"), corrections)
    prepare("records.jsonl", "--gold", "one.jsonl")
    found = {row["sentence"]: row["labels"] for row in rows().values()}
    expected = [["permission"], [], ["warning"], ["warning"], ["permission"]]
    assert [found[each["sentence"]] for each in corrections[:5]] == expected
    assert found[same[0]["sentence"]] == []
    assert found[span("a3", [])["sentence"]] == ["sanction_threat"]
    assert run()["counts"]["corrected"] == 4  # the open one had no labels before
    assert run()["counts"]["rejects"] == {"gold_not_matched": 1, "gold_without_article": 1}
    assert run()["counts"]["label_files"] == [{"file": "one.jsonl", "changed": 4, "new": 1}]


def test_of_pairs_with_the_same_first_sentence_the_id_decides(inputs):
    first = "Loket di Ambon buka sampai pukul tiga sore."
    records = [
        {"sentence_id": f"p{i}", "article_id": "d", "sentence": first, "sentence_2": f"Ia tutup pukul {i}.", "label": "beda"}
        for i in range(8)
    ]
    write_jsonl(Path("pairs.jsonl"), records)
    row = {"sentence_id": "p3", "article_id": "d", "start": 0, "end": len(first), "sentence": first, "labels": ["sama"], "annotator": "x"}
    write_jsonl(Path("one.jsonl"), [row])
    task = ["--set", "pairs=true", "--set", "task=single_label", "--set", "labels=[sama, beda]"]
    prepare("pairs.jsonl", "--gold", "one.jsonl", *task)
    assert {each: found["labels"] for each, found in rows().items() if found["labels"] == ["sama"]} == {"p3": ["sama"]}
    write_jsonl(Path("one.jsonl"), [row | {"labels": []}])
    assert "one.jsonl:1: 0 labels where exactly one is expected" in prepare(
        "pairs.jsonl", "--gold", "one.jsonl", "--overwrite", *task, refused=True
    )
