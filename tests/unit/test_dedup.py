"""Near-duplicates: wire stories cut, re-headlined or reordered fall together, other stories do not; the order never matters."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import read_jsonl, write_jsonl

from inference.jobs.dedup import dedup
from netral.config import load_config
from netral.errors import NetralError
from netral.near_duplicates import cluster, containment, signature

THRESHOLD = 0.55

PARAGRAPHS = [
    "Bupati Rimbajaya Surya Halim meminta seluruh aparatur sipil negara di wilayahnya menjaga jarak dari semua pasangan calon.",
    "Permintaan itu disampaikan saat apel gabungan di halaman kantor bupati, Senin pagi, di depan empat ratus pegawai.",
    "Menurut Surya, pegawai boleh mendatangi kampanye sebagai pendengar, asal tidak mengenakan seragam dan tidak membawa kendaraan dinas.",
    "Inspektorat daerah membuka kotak pengaduan bagi warga yang melihat pegawai membagikan selebaran atau mengajak memilih calon tertentu.",
    "Kepala inspektorat Wening Astuti menambahkan bahwa setiap laporan akan diperiksa paling lambat tujuh hari setelah diterima.",
    "Apel ditutup dengan pembacaan ikrar bersama dan penandatanganan lembar komitmen oleh para camat dan lurah.",
]
STORY = "\n".join(PARAGRAPHS)
# Another story of the same apel: its own news, one quotation in common.
SAME_EVENT = "\n".join(
    [
        "Sejumlah lurah di Rimbajaya mengeluh karena apel gabungan hari Senin membuat loket pelayanan tutup hingga menjelang tengah hari.",
        "Warga yang hendak mengurus surat pindah terpaksa pulang, kata Lurah Tanjung Sari, dan sebagian baru kembali keesokan harinya.",
        PARAGRAPHS[2],
        "Asisten pemerintahan berjanji membagi jadwal apel berikutnya menjadi dua gelombang agar selalu ada petugas di loket.",
        "Ombudsman perwakilan provinsi menyambut baik rencana tersebut dan akan memantau antrean selama dua pekan mendatang.",
    ]
)


def forecast(place, day, low, high, humid, wind):
    return (
        f"{place} – Badan cuaca daerah memperkirakan langit {place} pada {day} Juni berawan sepanjang pagi dan hujan ringan sore hari. "
        f"Suhu udara berkisar dari {low} hingga {high} derajat Celsius dengan kelembapan rata-rata {humid} persen. Angin bertiup dari arah "
        f"tenggara dengan kecepatan paling tinggi {wind} kilometer per jam. Warga diminta menyiapkan payung bila bepergian pada sore hari."
    )


def clusters(*texts, threshold=THRESHOLD):
    return [member.cluster for member in cluster([signature(t) for t in texts], [f"a{i}" for i in range(len(texts))], threshold)]


def together(a, b):
    one, other = clusters(a, b)
    return one == other


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param("\n".join(PARAGRAPHS[:2]), id="cut to the lead"),
        pytest.param("\n".join(PARAGRAPHS[2:5]), id="cut at both ends"),
        pytest.param("Surya Halim: Pegawai Jangan Dekat-Dekat Calon\n" + STORY, id="another headline"),
        pytest.param("\n".join(reversed(PARAGRAPHS)), id="paragraphs reordered"),
        pytest.param(STORY.replace("Surya Halim", "Suria Halim").replace("Senin pagi", "Senin (4/11)"), id="edited words"),
        pytest.param(STORY + "\nSelengkapnya akan dilaporkan lagi petang ini oleh koresponden kami di Rimbajaya.", id="a line more"),
    ],
)
def test_a_wire_story_in_another_edit_is_a_near_copy(variant):
    assert together(STORY, variant)


def test_two_stories_of_one_event_stay_apart():
    assert not together(STORY, SAME_EVENT)


def test_a_template_with_another_place_and_other_figures_is_another_story():
    one, other = forecast("Rimbajaya", 12, 24, 31, 85, 20), forecast("Lembahsari", 13, 22, 29, 90, 15)
    assert containment(signature(one), signature(other)) < 1
    assert not together(one, other)
    assert not together(one, forecast("Rimbajaya", 13, 22, 29, 90, 15))


def test_a_template_with_another_place_alone_is_a_near_copy():
    """The known price of comparing words: one name in sixty words is no more than an edit."""
    assert together(forecast("Rimbajaya", 12, 24, 31, 85, 20), forecast("Lembahsari", 12, 24, 31, 85, 20))


def test_a_collection_of_many_stories_does_not_swallow_them():
    rng = random.Random(3)
    stories = [" ".join("".join(rng.choices("abcdefghij", k=6)) for _ in range(100)) for _ in range(30)]
    assert len(set(clusters("\n".join(stories), *stories))) == 31


def test_a_short_text_joins_only_its_exact_copies():
    line = "Bupati meminta seluruh aparatur sipil negara menjaga jarak."
    found = clusters(line + " " + STORY, line, line.upper())
    assert found[0] != found[1] == found[2]


def test_members_are_compared_with_the_representative_so_nothing_chains():
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefghij", k=6)) for _ in range(400)]
    # Each window of 100 words shares 60 with the next.
    windows = [" ".join(words[begin : begin + 100]) for begin in range(0, 301, 40)]
    signatures = [signature(text) for text in windows]
    members = cluster(signatures, [str(i) for i in range(len(windows))], THRESHOLD)
    assert len({m.cluster for m in members}) > 2
    for i, member in enumerate(members):
        assert containment(signatures[i], signatures[member.representative]) >= THRESHOLD


def test_kinds_and_similarity():
    texts = [STORY, STORY.upper().replace("\n", "  "), "\n".join(PARAGRAPHS[:3]), SAME_EVENT]
    members = cluster([signature(t) for t in texts], ["b", "a", "c", "d"], THRESHOLD)
    # Of exact copies the one with the smallest id represents.
    assert [(m.kind, m.representative) for m in members] == [("exact", 1), ("representative", 1), ("near", 1), ("unique", 3)]
    assert [m.similarity for m in members] == [1, 1, 1, 1]


WORDS = st.lists(st.sampled_from("asn wajib netral dalam pemilu 2024 kata dia 12 di".split()), max_size=60).map(" ".join)
TEXTS = st.lists(st.one_of(WORDS, st.sampled_from([STORY, SAME_EVENT, *("\n".join(PARAGRAPHS[:n]) for n in range(1, 6))])), max_size=12)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.randoms(use_true_random=False))
def test_the_order_of_articles_does_not_matter(texts, rng):
    ids = [f"id{i}" for i in range(len(texts))]
    signatures = [signature(t) for t in texts]
    order = list(range(len(texts)))
    rng.shuffle(order)
    straight = cluster(signatures, ids, THRESHOLD)
    shuffled = cluster([signatures[i] for i in order], [ids[i] for i in order], THRESHOLD)
    for place, i in enumerate(order):
        one, other = straight[i], shuffled[place]
        assert (one.cluster, one.kind, one.similarity) == (other.cluster, other.kind, other.similarity)
        assert ids[one.representative] == ids[order[other.representative]]


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_every_member_is_a_copy_of_its_representative(texts):
    signatures = [signature(t) for t in texts]
    for i, member in enumerate(cluster(signatures, [str(k) for k in range(len(texts))], THRESHOLD)):
        representative = signatures[member.representative]
        assert member.cluster == representative.digest
        exact = signatures[i].digest == representative.digest
        assert exact or (member.kind == "near" and containment(signatures[i], representative) >= THRESHOLD)


@given(st.text(max_size=300))
def test_a_signature_is_sorted_and_ignores_space_and_case(text):
    found = signature(text)
    assert np.all(np.diff(found.shingles.astype(np.int64)) > 0)
    assert signature("  " + text.replace(" ", "\n ")).digest == found.digest


def test_signatures_do_not_change_between_processes_and_versions():
    """A cluster id is kept in databases."""
    assert signature("ASN wajib netral dalam pemilu 2024").digest == "f1f09299c7f73a07"


def run(tmp_path, rows, name="crawl", **options):
    write_jsonl(tmp_path / f"{name}.jsonl", rows)
    out = tmp_path / f"{name}.out.jsonl"
    found = dedup([str(tmp_path / f"{name}.jsonl")], str(out), load_config(None, []), **options)
    return found, read_jsonl(out)


def test_the_command_keeps_every_article_and_counts(tmp_path):
    rows = [
        {"id": "cut", "text": "\n".join(PARAGRAPHS[:3]) + "\nBaca juga: Sepuluh Resep Kolak yang Mudah Dibuat di Rumah"},
        {"id": "full", "text": STORY},
        {"id": "other", "text": SAME_EVENT},
        {"sentence": "ASN wajib netral."},
        {"id": "junk", "text": "Baca juga: Harga Cabai Naik"},
    ]
    found, out = run(tmp_path, rows)
    assert [(r["article_id"], r["representative"], r["kind"], r["cluster_size"]) for r in out] == [
        ("cut", "full", "near", 2),
        ("full", "full", "representative", 2),
        ("other", "other", "unique", 1),
    ]
    # The teaser is cleaned away before the texts are compared.
    assert out[0]["similarity"] == 1
    assert found["counts"]["rows_in"] == 5
    assert found["counts"]["rejects"] == {"not_an_article": 1, "no_sentences": 1}
    assert found["counts"]["kinds"] == {"unique": 1, "representative": 1, "exact": 0, "near": 1}
    assert run(tmp_path, rows)[0] == {"unchanged": True, **found}


def test_shards_and_their_order_give_the_same_clusters(tmp_path):
    rows = [{"id": f"r{i}", "text": text} for i, text in enumerate([STORY, SAME_EVENT, *("\n".join(PARAGRAPHS[:n]) for n in (2, 3, 4))])]
    _, whole = run(tmp_path, rows)
    shards = tmp_path / "shards"
    shards.mkdir()
    write_jsonl(shards / "a.jsonl", rows[3:])
    write_jsonl(shards / "b.jsonl", list(reversed(rows[:3])))
    dedup([str(shards)], str(tmp_path / "sharded.jsonl"), load_config(None, []))
    by_id = {row["article_id"]: row for row in read_jsonl(tmp_path / "sharded.jsonl")}
    assert by_id == {row["article_id"]: row for row in whole}


def test_other_outputs_are_refused(tmp_path):
    write_jsonl(tmp_path / "crawl.jsonl", [{"text": STORY}])
    with pytest.raises(NetralError, match="dedup writes JSON lines"):
        dedup([str(tmp_path / "crawl.jsonl")], str(tmp_path / "out.parquet"), load_config(None, []))
    with pytest.raises(NetralError, match="nothing could be used"):
        run(tmp_path, [{"sentence": "ASN wajib netral."}], "sentences")


def test_the_command_line(tmp_path):
    from typer.testing import CliRunner

    from netral.cli import app

    write_jsonl(tmp_path / "crawl.jsonl", [{"id": "a", "text": STORY}, {"id": "b", "text": STORY}])
    result = CliRunner().invoke(app, ["dedup", str(tmp_path / "crawl.jsonl"), "--out", "-"])
    assert result.exit_code == 0
    assert [json.loads(line)["kind"] for line in result.stdout.splitlines()] == ["representative", "exact"]
