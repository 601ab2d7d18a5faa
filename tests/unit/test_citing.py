"""Citations in the rows of `label`, and where they and the model's label differ."""

import json

import pytest

from inference.jobs.job import label, split
from inference.jobs.rows import Tally, added_up, to_sentences
from netral.config import TextSettings, load_config
from netral.records import CITATION_FIELDS, Article, Sentence
from netral.text import TextStage

TEXT = (
    "Bupati mengutip Undang-Undang Nomor 5 Tahun 2014 di depan pegawai. Menurutnya, Pasal 9 ayat (2) undang-undang tersebut "
    "mewajibkan netralitas.\n\nRapat berakhir sore hari tanpa keputusan lain."
)


def cited(rows):
    return [item for item in to_sentences(rows, TextStage(TextSettings()), Tally()) if isinstance(item, Sentence)]


def test_each_sentence_has_the_citations_that_begin_in_it_with_offsets_of_the_article():
    sentences = cited([Article("a.txt", 1, "a", TEXT)])
    ids = [[each["canonical"] for each in sentence.citations] for sentence in sentences]
    assert ids == [["id/uu/2014/5"], ["id/uu/2014/5#pasal-9.ayat-2"], []]
    for sentence in sentences:
        for each in sentence.citations:
            assert tuple(each) == CITATION_FIELDS
            assert TEXT[each["start"] : each["end"]] == each["surface"]
            assert sentence.start <= each["start"] < sentence.end
    assert [each["back_reference"] for sentence in sentences for each in sentence.citations] == [False, True]


def test_a_sentence_that_comes_alone_is_read_alone():
    alone = Sentence("a.jsonl", 1, "a", "a:0", 100, 142, "Ia merujuk PP Nomor 94 Tahun 2021 kemarin.")
    (found,) = cited([alone])
    assert [(each["canonical"], each["start"]) for each in found.citations] == [("id/pp/2021/94", 111)]


def test_where_label_and_parser_differ_is_counted_and_listed():
    first, back, empty = cited([Article("a.txt", 1, "a", TEXT)])
    tally = Tally()
    for sentence, labelled in ((first, True), (first, False), (back, True), (back, False), (empty, True), (empty, False)):
        tally.compare(sentence, labelled)
    found = tally.cited()
    # A back reference alone names no instrument, so only the first sentence cites by itself.
    assert (found["label_without_citation"], found["citation_without_label"]) == (2, 1)
    assert [line.split(":")[2].strip() for line in found["first_disagreements"]] == ["citation alone", "label alone", "label alone"]


def test_lists_of_markers_are_joined_and_bounded():
    assert added_up([{"a": ["x"] * 30}, {"a": ["y"] * 30}])["a"] == ["x"] * 30 + ["y"] * 20


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_label_writes_them_and_split_then_label_keeps_them(tmp_path, tiny_model, suffix):
    source = tmp_path / "a.jsonl"
    source.write_text(json.dumps({"id": "a", "text": TEXT, "tanggal": "2022-05-01"}) + "\n", encoding="utf-8")
    config = load_config(None, [])
    found = label([str(source)], str(tmp_path / f"direct.{suffix}"), config, model=tiny_model, backend="fake")
    assert found["citations"]["mentions"] == 2
    split([str(source)], str(tmp_path / "split.jsonl"), config)
    label([str(tmp_path / "split.jsonl")], str(tmp_path / f"after.{suffix}"), config, model=tiny_model, backend="fake")
    if suffix == "jsonl":
        assert (tmp_path / "direct.jsonl").read_bytes() == (tmp_path / "after.jsonl").read_bytes()
    else:
        import pyarrow.parquet as pq

        direct, after = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("direct", "after"))
        assert direct.equals(after)
        assert [len(each) for each in direct["citations"].to_pylist()] == [1, 1, 0]
