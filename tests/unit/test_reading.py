"""Bad input of every kind: one reject row with a reason, bounded memory, the good rows kept."""

import gzip
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import write_jsonl

from netral.config import ReadSettings, TextSettings
from netral.errors import NetralError
from netral.io.paths import expand_inputs, refuse_existing, replacing_file, replacing_folder
from netral.io.readers import read_inputs
from netral.records import Article, Reject, Sentence
from netral.text import TextStage

READ = ReadSettings(max_record_bytes=10_000)


def read(*paths, settings=READ, **kwargs):
    return list(read_inputs([str(p) for p in paths], settings, **kwargs))


def only_reject(path, settings=READ):
    (row,) = read(path, settings=settings)
    assert isinstance(row, Reject)
    return row


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


GOOD = b'{"text":"ASN harus netral."}\n'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "not_json"),
        (b'{"text": NaN}', "not_json"),
        (b"[" * 100_000, "record_too_large"),
        (b'{"a":' * 1500, "not_json"),
        (b'["text"]', "not_an_object"),
        (b"3", "not_an_object"),
        (b"{}", "missing_field"),
        (b'{"teks":"ASN"}', "missing_field"),
        (b'{"text":3}', "wrong_type"),
        (b'{"text":null}', "wrong_type"),
        (b'{"sentence":["ASN"]}', "wrong_type"),
        (b'{"text":"ASN","id":{}}', "wrong_type"),
        (b'{"text":"  "}', "empty"),
        (b'{"text":"a\\u0000b"}', "nul_byte"),
        (b'{"text":"\\ud800 ASN"}', "broken_unicode"),
        (b'{"text":"ASN","x":"\\ud800"}', "broken_unicode"),
        (b'{"text":"\xff\xfe"}', "not_utf8"),
        (b'{"sentence":"ASN","start":2,"end":3}', "wrong_offsets"),
        (b'{"sentence":"ASN","start":100000000000000000000,"end":100000000000000000003}', "wrong_offsets"),
        (b'{"text":"' + b"a" * 20_000 + b'"}', "record_too_large"),
    ],
)
def test_a_bad_row_is_rejected_and_the_rows_around_it_are_read(tmp_path, line, reason):
    path = write(tmp_path / "a.jsonl", GOOD + line + b"\n" + GOOD)
    first, bad, last = read(path)
    assert isinstance(first, Article)
    assert isinstance(last, Article)
    assert isinstance(bad, Reject)
    assert (bad.reason, bad.row) == (reason, 2)
    assert bad.file.endswith("a.jsonl")
    assert bad.detail


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b" \n ", "empty"),
        ("a.txt", b"ASN \xff", "not_utf8"),
        ("a.txt", "ASN".encode("utf-16"), "not_utf8"),
        ("a.txt", b"ASN\0", "nul_byte"),
        ("a.txt", b"a" * 20_000, "record_too_large"),
        ("a.jsonl", b"", "empty"),
        ("a.jsonl", b"\n\n", "empty"),
        ("a.txt.gz", gzip.compress(b"ASN harus netral." * 50)[:-9], "truncated_or_corrupt"),
        ("a.txt.gz", b"no gzip", "truncated_or_corrupt"),
        ("a.txt.xz", lzma.compress(b"ASN harus netral." * 50)[:-9], "truncated_or_corrupt"),
        ("a.txt.zst", pa.compress(b"ASN harus netral." * 50, codec="zstd", asbytes=True)[:-4], "truncated_or_corrupt"),
        ("a.txt.zst", b"no zstd", "truncated_or_corrupt"),
        ("a.parquet", b"PAR1 nothing", "truncated_or_corrupt"),
        ("a.txt.gz", gzip.compress(b"a" * 50_000_000), "record_too_large"),
    ],
)
def test_a_bad_file_is_one_reject(tmp_path, name, data, reason):
    assert only_reject(write(tmp_path / name, data)).reason == reason


def test_rows_before_the_cut_of_a_truncated_file_are_kept(tmp_path):
    rows = b"".join(b'{"text":"Kalimat nomor %d tentang netralitas."}\n' % i for i in range(50_000))
    for name, data in (("a.jsonl.gz", gzip.compress(rows)), ("a.jsonl.zst", pa.compress(rows, codec="zstd", asbytes=True))):
        found = read(write(tmp_path / name, data[: len(data) * 3 // 4]))
        assert found[-1].reason == "truncated_or_corrupt"
        assert len(found) > 100
        assert all(isinstance(row, Article) for row in found[:-1])


def test_a_fifty_megabyte_line_is_one_reject(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text":"' + b"a" * 50_000_000 + b'"}\n' + GOOD)
    big, good = read(path, settings=ReadSettings())
    assert big.reason == "record_too_large"
    assert isinstance(good, Article)


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_compressed_and_plain_read_alike(tmp_path, suffix):
    data = GOOD * 3
    packed = {"": data, ".gz": gzip.compress(data), ".xz": lzma.compress(data), ".zst": pa.compress(data, codec="zstd", asbytes=True)}
    found = read(write(tmp_path / f"crawl.jsonl{suffix}", packed[suffix]))
    assert [row.id for row in found] == ["crawl#1", "crawl#2", "crawl#3"]


def test_other_fields_pass_through_under_meta(tmp_path):
    record = {"text": "ASN netral.", "id": 7, "title": "Judul", "url": "http://x", "tags": ["a", {"b": None}], "views": 1.5}
    (article,) = read(write_jsonl(tmp_path / "a.jsonl", [record]))
    assert (article.id, article.title) == ("7", "Judul")
    assert article.meta == {"title": "Judul", "url": "http://x", "tags": ["a", {"b": None}], "views": 1.5}


def test_sentence_records_are_taken_as_they_are_and_in_order(tmp_path):
    texts = [" ASN&nbsp;netral. Ia pergi. ", "Baca juga: Judul", "ASN&nbsp;netral."]
    found = read(write_jsonl(tmp_path / "a.jsonl", [{"sentence": text} for text in texts]))
    assert [row.text for row in found] == texts
    assert all(isinstance(row, Sentence) for row in found)
    assert [(row.start, row.end) for row in found] == [(0, len(text)) for text in texts]


def test_gold_labels_are_read_only_where_wanted(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"sentence": "ASN netral.", "labels": ["warning"]}])
    assert read(path)[0].meta == {"labels": ["warning"]}
    assert read(path, gold=True)[0].gold == ("warning",)


def test_ids_stay_unique(tmp_path):
    (tmp_path / "b").mkdir()
    for folder in (tmp_path, tmp_path / "b"):
        write(folder / "1.txt", "ASN netral.")
    assert [row.id for row in read(tmp_path)] == ["1", "1~2"]


def test_parquet_with_articles_sentences_and_odd_types(tmp_path):
    import datetime

    table = pa.table(
        {
            "text": ["ASN netral.", None, None],
            "sentence": [None, "Ia pergi.", None],
            "date": [datetime.date(2024, 11, 27)] * 3,
            "meta": ['{"a":1}', None, None],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    article, sentence, bad = read(tmp_path / "a.parquet")
    assert article.meta == {"date": "2024-11-27", "a": 1}
    assert sentence.text == "Ia pergi."
    assert (bad.reason, bad.row) == ("missing_field", 3)


def test_parquet_values_that_python_cannot_hold_cost_their_row_only(tmp_path):
    dates = pa.array([1, 4_000_000, 2], pa.int32()).cast(pa.date32())
    table = pa.table({"text": ["ASN netral."] * 3, "date": dates, "x": [float("nan")] * 3, "meta": ["[" * 100_000, None, None]})
    pq.write_table(table, tmp_path / "a.parquet")
    first, bad, last = read(tmp_path / "a.parquet", settings=ReadSettings(max_record_bytes=1_000_000))
    assert (bad.reason, bad.row) == ("wrong_type", 2)
    assert isinstance(first, Article)
    assert last.meta["x"] is None
    assert last.meta["date"] == "1970-01-03"


def test_infinite_numbers_become_null(tmp_path):
    (article,) = read(write(tmp_path / "a.jsonl", b'{"text":"ASN netral.","x":1e999}\n'))
    assert article.meta == {"x": None}


def test_the_text_is_kept_as_read_but_for_the_byte_order_mark(tmp_path):
    (article,) = read(write(tmp_path / "a.txt", "\ufeffASN netral.\r\nIa pergi.\r\n".encode()))
    assert article.text == "ASN netral.\r\nIa pergi.\r\n"
    found = TextStage(TextSettings()).run(article).sentences
    assert [article.text[s.start : s.end] for s in found] == ["ASN netral.", "Ia pergi."]


def test_a_file_name_that_is_not_utf8_is_read(tmp_path):
    import os

    with open(os.path.join(os.fsencode(tmp_path), b"\xff.txt"), "wb") as stream:
        stream.write(b"ASN netral.")
    (article,) = read(tmp_path)
    assert article.id == "\ufffd"


def test_a_link_is_read_under_its_own_name(tmp_path):
    write(tmp_path / "object", GOOD)
    (tmp_path / "crawl.jsonl").symlink_to(tmp_path / "object")
    (article,) = read(tmp_path / "crawl.jsonl")
    assert article.id == "crawl#1"


def test_a_glob_leaves_out_reject_files(tmp_path):
    write(tmp_path / "a.jsonl", GOOD)
    write(tmp_path / "out.jsonl.rejects.jsonl", GOOD)
    assert [p.name for p in expand_inputs([str(tmp_path / "*.jsonl")])] == ["a.jsonl"]


def test_an_input_that_is_the_output_is_refused(tmp_path):
    path = write(tmp_path / "a.jsonl", GOOD)
    with pytest.raises(NetralError, match="both input and output"):
        expand_inputs([str(path)], exclude=path)


def test_parquet_without_a_text_column(tmp_path):
    pq.write_table(pa.table({"naskah": ["ASN"]}), tmp_path / "a.parquet")
    assert "naskah" in only_reject(tmp_path / "a.parquet").detail


def test_input_order_does_not_matter_and_nothing_is_read_twice(tmp_path):
    for name in ("b.txt", "a.txt"):
        write(tmp_path / name, f"ASN {name}.")
    one = expand_inputs([str(tmp_path / "b.txt"), str(tmp_path / "a.txt")])
    assert one == expand_inputs([str(tmp_path), str(tmp_path / "*.txt")])
    assert [p.name for p in one] == ["a.txt", "b.txt"]


@pytest.mark.parametrize("name", ["missing.txt", "*.nothing", "page.pdf", "empty_folder"])
def test_an_input_that_matches_nothing_says_so(tmp_path, name):
    (tmp_path / "page.pdf").write_text("x")
    (tmp_path / "empty_folder").mkdir()
    with pytest.raises(NetralError, match=r"page|missing|nothing|empty_folder"):
        expand_inputs([str(tmp_path / name)])


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_any_bytes_are_read_row_for_row_without_an_error(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("fuzz") / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = read(path)
    expected = sum(bool(line.strip()) for line in path.read_bytes().split(b"\n"))
    assert len(found) == max(expected, 1)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda x: st.lists(x, max_size=3)))
def test_any_json_value_is_an_article_or_a_reject(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("fuzz") / "a.jsonl"
    path.write_text(json.dumps({"text": value}) + "\n")
    (row,) = read(path)
    assert isinstance(row, Article | Reject)


class Stop(Exception):
    pass


def _write_half(context, name=""):
    with context as beside:
        (beside / name if name else beside).write_text("half")
        raise Stop


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(Stop):
        _write_half(replacing_file(tmp_path / "a"))
    with pytest.raises(Stop):
        _write_half(replacing_folder(tmp_path / "b"), "x")
    assert list(tmp_path.iterdir()) == []


def test_only_netral_folders_are_replaced(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("x")
    with pytest.raises(NetralError, match="did not write"):
        refuse_existing(tmp_path / "own", overwrite=True)
