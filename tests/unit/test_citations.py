"""Citations: the grammar, the gold set, and what must hold of any text at all."""

import json
import string
import time
from collections import Counter
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import DATA, read_jsonl, write_jsonl

from inference.jobs.cite import cite
from netral.citations import RegulationId, find_citations, format_id, parse_id
from netral.citations.build_gazetteer import laws
from netral.citations.dates import article_date
from netral.config import Config
from netral.errors import NetralError
from netral.records import Article

GOLD = read_jsonl(DATA / "citations.jsonl")
WORDS = """UU PP SKB SE Pasal ayat huruf angka Nomor No. Tahun 2014 5 5/2014 94/2021 (1) a dan , jo. s.d. sampai tersebut itu tentang ASN
Pemilu KUHP UUD 1945 Undang-Undang Peraturan Menteri Dalam Negeri Putusan MK 60/PUU-XXII/2024 TAP XI/MPR/1998
&nbsp; &amp; ( ) / - .""".split()
LEGAL_TEXT = st.lists(st.one_of(st.sampled_from([*WORDS, "\u00a0", "\u200b", "\n", "\r\n"]), st.text(max_size=6)), max_size=40).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda glue: glue.join(parts))
)
VALUE = st.from_regex(r"[0-9a-z]{1,4}", fullmatch=True)
IDS = st.builds(
    RegulationId,
    type=st.sampled_from(["uu", "putusan-mk", "permenpanrb", "tap-mpr", "kuhp"]),
    year=st.none() | st.integers(1000, 9999),
    number=st.none() | st.from_regex(r"[a-z0-9][a-z0-9.\-]{0,20}", fullmatch=True),
    **{level: st.none() | VALUE for level in ("pasal", "ayat", "huruf", "angka")},
)


def found(text, day=None):
    return [(c.surface, c.canonical) for c in find_citations(text, day)]


def ids(text, day=None):
    return [c.canonical for c in find_citations(text, day)]


# --- the gold set


def gold_day(row):
    return date.fromisoformat(row["date"]) if row["date"] else None


def score(rows):
    """Exact-span F1, and the share of gold mentions whose span and canonical id are both right."""
    wanted, given_spans, hits, right = 0, 0, 0, 0
    for row in rows:
        gold = Counter((c["start"], c["end"]) for c in row["citations"])
        citations = find_citations(row["text"], gold_day(row))
        spans = Counter((c.start, c.end) for c in citations)
        wanted, given_spans, hits = wanted + gold.total(), given_spans + spans.total(), hits + (gold & spans).total()
        right += len(
            {(c["start"], c["end"], c["canonical"]) for c in row["citations"]} & {(c.start, c.end, c.canonical) for c in citations}
        )
    return 2 * hits / (wanted + given_spans), right / wanted


def test_gold_set_is_large_and_its_offsets_are_right():
    assert sum(len(row["citations"]) for row in GOLD) >= 400
    assert sum(not row["citations"] for row in GOLD) >= 150
    for row in GOLD:
        assert all(row["text"][c["start"] : c["end"]] == c["surface"] for c in row["citations"])
        assert all(format_id(parse_id(c["canonical"])) == c["canonical"] for c in row["citations"])


@pytest.mark.parametrize("part", sorted({row["part"] for row in GOLD}))
def test_gold(part):
    f1, right = score([row for row in GOLD if row["part"] == part])
    assert f1 >= 0.97
    assert right >= 0.98


def test_gold_back_references():
    for row in GOLD:
        wanted = {(c["start"], c["canonical"]) for c in row["citations"] if c["back_reference"]}
        assert wanted == {(c.start, c.canonical) for c in find_citations(row["text"], gold_day(row)) if c.back_reference}, row["text"]


# --- any text


@given(IDS)
def test_ids_come_back(regulation):
    assert parse_id(format_id(regulation)) == regulation


@pytest.mark.parametrize(
    "wrong", ["", "uu/2014/5", "id/uu/14/5", "id/UU/2014/5", "id/uu/2014/5#", "id/uu/2014/5#ayat-1.pasal-2", "id/uu/2014/5#bab-1"]
)
def test_wrong_ids_are_refused(wrong):
    with pytest.raises(NetralError, match="canonical"):
        parse_id(wrong)


@given(LEGAL_TEXT)
def test_any_text(text):
    citations = find_citations(text)
    assert [(c.start, c.canonical) for c in citations] == sorted((c.start, c.canonical) for c in citations)
    for c in citations:
        assert 0 <= c.start < c.end <= len(text)
        assert text[c.start : c.end] == c.surface
        parts = RegulationId(c.type, c.year, c.number, c.pasal, c.ayat, c.huruf, c.angka)
        assert parse_id(c.canonical) == parts


@given(st.text(alphabet=string.printable + "\u00a0\u200b–é", max_size=300))
def test_never_raises(text):
    find_citations(text)


@given(LEGAL_TEXT)
def test_mentions_do_not_overlap(text):
    spans = sorted({(c.start, c.end) for c in find_citations(text)})
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@pytest.mark.parametrize(
    "unit",
    [
        "UU ",
        "Pasal 1 dan ",
        "Pasal 1, ayat (1), huruf a ",
        "SKB a, ",
        "UU Nomor 5 dan ",
        "UU tentang ",
        "PP 1, ",
        "UU (a) ",
        "Pasal 5 \t ",
        "1/",
        "a.",
        " ",
        "Pasal 1-60, Tahun 2014 SKB Nomor 5, ",
        "UU 5/2014 tentang a Pasal 1 ",
        "&amp;UU\u200b ",
        "UU itu ",
        "putusan a Nomor ",
        "Nomor 1-1.1/",
    ],
)
def test_time_grows_with_length(unit):
    # 200,000 characters take at most a second or two on one slow core; what grows with the square takes an hour.
    text = "Pasal 5 UU 5/2014 " + unit * (200_000 // len(unit))
    begun = time.perf_counter()
    find_citations(text)
    assert time.perf_counter() - begun < 60


# --- spellings


@pytest.mark.parametrize(
    "text",
    [
        "Undang-Undang (UU) Nomor 5 Tahun 2014",
        "UU No. 5/2014",
        "UU 5/2014",
        "U.U. nomor: 5 tahun 2014",
        "uu no 5 th 2014",
        "UUNo.5Tahun2014",
        "UU N0. 5 Tahun 2O14",
        "UU\u200b No.5 2014",
        "UU-5/2014",
        "UU no.5.2014",
        "UndangUndang Nomor 5 Tahun 2014",
        "Undang\u2011Undang RI Nomor 5 Tahun 2014",
        "Undang-Undang\nNomor 5\nTahun 2014",
        "UU&nbsp;No.&nbsp;5&nbsp;Tahun 2014",
        "UU ASN Nomor 5 Tahun 2014",
        "Undang-Undang tentang Aparatur Sipil Negara Nomor 5 Tahun 2014",
    ],
)
def test_spellings_of_one_law(text):
    assert found(text) == [(text, "id/uu/2014/5")]


@pytest.mark.parametrize(
    ("text", "canonical", "issuer"),
    [
        ("Permen PAN-RB Nomor 6/2022", "id/permenpanrb/2022/6", "Menteri Pendayagunaan Aparatur Negara dan Reformasi Birokrasi"),
        ("Peraturan Menteri Dalam Negeri Nomor 11 Tahun 2019", "id/permendagri/2019/11", "Menteri Dalam Negeri"),
        ("SK Mendagri Nomor 300.2-38 Tahun 2025", "id/kepmendagri/2025/300.2-38", "Menteri Dalam Negeri"),
        ("Perda Kabupaten Sleman Nomor 5 Tahun 2020", "id/perda/2020/5", "Kabupaten Sleman"),
        ("Peraturan Bupati Sleman Nomor 3 Tahun 2020", "id/perbup/2020/3", "Bupati Sleman"),
        ("Surat Edaran Bupati Klaten Tahun 2023", "id/se/2023/_", "Bupati Klaten"),
        ("Qanun Aceh Nomor 6 Tahun 2014", "id/qanun/2014/6", "Aceh"),
        ("PMK-61/PMK.03/2023", "id/permenkeu/2023/61-pmk.03-2023", "Menteri Keuangan"),
        ("putusan MA Nomor 57 P/HUM/2019", "id/putusan-ma/2019/57p-hum-2019", "Mahkamah Agung"),
        ("Putusan Nomor 90/PUU-XXI/2023", "id/putusan-mk/2023/90", None),
        ("TAP MPR Nomor XI/MPR/1998", "id/tap-mpr/1998/xi", "MPR"),
        ("SE Bersama Nomor 1 Tahun 2025, Nomor 2 Tahun 2025", "id/se/2025/1", "Bersama"),
        (
            "Keputusan Menteri (Kepmen) ESDM No 37.K/HK.02/MEM.M/2022",
            "id/kepmenesdm/2022/37.k-hk.02-mem.m-2022",
            "Menteri Energi dan Sumber Daya Mineral",
        ),
        (
            "Peraturan Menteri (PM) PUPR Nomor 10/PRT/M/2018",
            "id/permenpupr/2018/10-prt-m-2018",
            "Menteri Pekerjaan Umum dan Perumahan Rakyat",
        ),
        ("UUD Negara RI Tahun 1945", "id/uud/1945/_", None),
        ("UUD '45", "id/uud/1945/_", None),
    ],
)
def test_types_and_issuers(text, canonical, issuer):
    (citation,) = find_citations(text)
    assert (citation.surface, citation.canonical, citation.issuer) == (text, canonical, issuer)


@pytest.mark.parametrize(
    ("fragment", "paths"),
    [
        ("Pasal 71 ayat 1 dan 2 jo. Pasal 188", "188 71.1 71.2"),
        ("huruf f ayat (2) Pasal 280", "280.2.f"),
        ("Pasal 187A s.d. Pasal 187C", "187a 187b 187c"),
        ("Pasal 5 ayat satu huruf a, b, dan c", "5.1.a 5.1.b 5.1.c"),
        ("pasal280ayat(2)", "280.2"),
        ("Pasal 55 ayat (1) ke-1", "55.1"),
        ("Pasal 114 ayat (2) subsider Pasal 111", "111 114.2"),
        ("Pasal 1 sampai 900", "1 900"),
        ("Pasal-pasal 27 dan 28", "27 28"),
        ("Pasal 45 ayat 1 jo 28 ayat 1", "28.1 45.1"),
        ("Pasal 14 ayat (1) dan atau Pasal 15", "14.1 15"),
    ],
)
def test_articles(fragment, paths):
    citations = find_citations(f"{fragment} UU 5/2014.")
    assert {c.surface for c in citations} == {f"{fragment} UU 5/2014"}
    assert sorted(".".join(filter(None, (c.pasal, c.ayat, c.huruf))) for c in citations) == paths.split()


def test_a_constitution_named_in_passing_has_no_part_in_what_follows():
    assert ids("UU 5/2014 setia pada UUD 1945. Pasal 9 jelas.")[-1] == "id/uu/2014/5#pasal-9"
    assert ids("Pasal 27 dan 28 UUD 1945") == ["id/uud/1945/_#pasal-27", "id/uud/1945/_#pasal-28"]


@pytest.mark.parametrize(
    "text",
    [
        "PPh Pasal 21 dipotong sesuai PMK 131/2024",
        "UU ITE mengatur hal lain, bukan Pasal 12 KUHPerdata",
        "UU ITE berbeda dari Pasal 5 UU Bela Negara",
        "UU ASN, kata dia, melarang hal itu pada Pasal 9, 5 orang diperiksa",
    ],
)
def test_an_article_of_something_else_is_not_given_to_the_last_law(text):
    assert all(c.pasal in (None, "9") for c in find_citations(text))


@pytest.mark.parametrize(
    "text",
    [
        "Rancangan Undang-Undang Nomor 5",
        "RUU KUHAP",
        "Jl. Undang-Undang No. 12",
        "PP 10 orang",
        "UU Nomor urut 2",
        "tes SKB Tahun 2019",
        "Pasalnya, 5 ASN hadir",
        "PP 17/8/2020",
        "Surabaya pp, GA206/207/1",
    ],
)
def test_false_friends(text):
    assert found(text) == []


# --- names, dates, facts


@pytest.mark.parametrize(
    ("name", "day", "canonical"),
    [
        ("UU ASN", date(2023, 10, 30), "id/uu/2014/5"),
        ("UU ASN", date(2023, 10, 31), "id/uu/2023/20"),
        ("UU ASN", None, "id/uu/2023/20"),
        ("UU ASN tahun 2014", None, "id/uu/2014/5"),
        ("UU Cipta Kerja", date(2023, 1, 15), "id/perppu/2022/2"),
        ("PP Disiplin PNS", date(2021, 8, 30), "id/pp/2010/53"),
        ("UU Pemilu", date(1999, 1, 1), "id/uu/2012/8"),
    ],
)
def test_the_date_decides_what_a_name_means(name, day, canonical):
    assert found(name, day) == [(name, canonical)]


def test_facts():
    old, new, odd = find_citations("UU 5/2014, UU 20/2023, UU 999/2014")
    assert (old.about, old.known, old.successor_of) == ("Aparatur Sipil Negara", True, None)
    assert (new.known, new.successor_of) == (True, "id/uu/2014/5")
    assert (odd.about, odd.known) == (None, False)


def test_gazetteer_trusts_the_path_of_a_law_more_than_its_scanned_heading():
    text = "UNDANG-UNDANG REPUBLIK INDONESIA NOMOR 5 TAHUN 2017 TENTANG ARSITEK DENGAN RAHMAT TUHAN"
    assert laws([Article("f", 1, "1", text, meta={"source": "x/uu/2017/6.md"})]) == [("uu", 2017, "6", "")]
    assert laws([Article("f", 1, "1", text)]) == [("uu", 2017, "5", "Arsitek")]


@pytest.mark.parametrize(
    ("meta", "day"),
    [
        ({"date": "2023-10-31T07:00:00+07:00"}, date(2023, 10, 31)),
        ({"Tanggal": "Selasa, 3 Mei 2022 10:00 WIB"}, date(2022, 5, 3)),
        ({"date": "kemarin", "published": "31/10/2023"}, date(2023, 10, 31)),
        ({"date": "31/31/2023"}, None),
        ({"date": 20231031}, None),
        ({}, None),
    ],
)
def test_article_dates(meta, day):
    assert article_date(meta) == day


# --- the command


def test_cite_writes_one_row_a_mention(tmp_path):
    rows = [
        {"id": "a", "text": "UU ASN berlaku. Undang-undang itu jelas.", "tanggal": "1 Maret 2022"},
        {"id": "b", "text": "Tidak ada rujukan."},
        {"sentence": "Pasal 2 UU 5/2014", "article_id": "c", "start": 10, "end": 27},
        {"teks": "salah"},
    ]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    out = tmp_path / "out.jsonl"
    summary = cite([str(source)], str(out), Config())
    assert [(r["article_id"], r["start"], r["end"], r["canonical"], r["back_reference"]) for r in read_jsonl(out)] == [
        ("a", 0, 6, "id/uu/2014/5", False),
        ("a", 16, 33, "id/uu/2014/5", True),
        ("c", 10, 27, "id/uu/2014/5#pasal-2", False),
    ]
    counts = summary["counts"]
    assert counts == {"rows_in": 4, "articles": 2, "sentence_rows": 1, "rejects": {"missing_field": 1}, "citations": 3, "types": {"uu": 3}}
    assert json.loads((tmp_path / "out.jsonl.summary.json").read_text())["counts"] == counts
    assert len(read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")) == 1
    assert cite([str(source)], str(out), Config())["unchanged"]


def test_cite_refuses_what_it_cannot_do(tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", [{"teks": "salah"}])
    with pytest.raises(NetralError, match="JSON lines"):
        cite([str(source)], str(tmp_path / "out.parquet"), Config())
    with pytest.raises(NetralError, match="missing_field"):
        cite([str(source)], str(tmp_path / "out.jsonl"), Config())
    assert not (tmp_path / "out.jsonl").exists()


def test_cite_finds_nothing_in_articles_without_mentions(tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "Tidak ada rujukan."}])
    assert cite([str(source)], str(tmp_path / "out.jsonl"), Config())["counts"]["citations"] == 0
    assert (tmp_path / "out.jsonl").read_text() == ""
