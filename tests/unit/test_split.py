import pytest
from support import DATA, SHARED, read_jsonl

from inference.bench.text import sentence_spans
from netral.text.split import Splitter

SPLIT = Splitter().sentences
STRESS = DATA / "split_stress.jsonl"


def span_f1(pairs):
    hits = total = 0
    for gold, found in pairs:
        hits += 2 * len(sentence_spans(gold) & sentence_spans(found))
        total += len(gold) + len(found)
    return hits / total


def test_stress_set():
    rows = read_jsonl(STRESS)
    assert sum(len(row["sentences"]) for row in rows) >= 300
    assert span_f1((row["sentences"], SPLIT(row["glue"].join(row["sentences"]))) for row in rows) >= 0.99


def test_ud_pud_boundaries(shared):
    path = SHARED / "ud" / "UD_Indonesian-PUD.id_pud-ud-test.conllu"
    gold = [line[9:].strip() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# text = ")]
    found = SPLIT(" ".join(gold))
    ends_gold, ends_found = ({end for _, end in sentence_spans(s)} for s in (gold, found))
    assert 2 * len(ends_gold & ends_found) / (len(ends_gold) + len(ends_found)) >= 0.99
    assert span_f1([(gold, found)]) >= 0.979


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"Kami netral," kata Budi. Ia pergi.', ['"Kami netral," kata Budi.', "Ia pergi."]),
        ('"Kami rapat. Hasilnya jelas," kata dia.', ['"Kami rapat.', 'Hasilnya jelas," kata dia.']),
        ('"Siapa yang melanggar?" tanya Budi.', ['"Siapa yang melanggar?" tanya Budi.']),
        ("Begitu kata dia.Menurutnya itu sah.", ["Begitu kata dia.", "Menurutnya itu sah."]),
        ('Acara selesai kemarin."Kami siap," ujarnya.', ["Acara selesai kemarin.", '"Kami siap," ujarnya.']),
        (
            "Plt. Bupati Hj. Siti, S.Sos., M.Si. hadir pukul 08.30 WIB. Ia senang.",
            ["Plt. Bupati Hj. Siti, S.Sos., M.Si. hadir pukul 08.30 WIB.", "Ia senang."],
        ),
        (
            "UU No. 5 Tahun 2014 berlaku. Denda Rp1.500.000,00 pada 7/10/2024.",
            ["UU No. 5 Tahun 2014 berlaku.", "Denda Rp1.500.000,00 pada 7/10/2024."],
        ),
        ("Lihat www.kpu.go.id. Datanya ada di detik.com.", ["Lihat www.kpu.go.id.", "Datanya ada di detik.com."]),
        ("PPS se-Kab. Minut hadir.", ["PPS se-Kab. Minut hadir."]),
        ("Ia lahir pada tahun 1970-an. Ayahnya guru.", ["Ia lahir pada tahun 1970-an.", "Ayahnya guru."]),
        ("Kota itu hangus pada 1600 SM. Penduduknya lari.", ["Kota itu hangus pada 1600 SM.", "Penduduknya lari."]),
        ("Timnas tergabung di Grup B. Lawannya berat.", ["Timnas tergabung di Grup B.", "Lawannya berat."]),
    ],
)
def test_examples(text, expected):
    assert SPLIT(text) == expected


def test_a_headline_is_one_sentence_even_with_a_question():
    text = "Boleh Beri Like? Ini Aturannya bagi ASN"
    assert list(Splitter().spans(text, 0, len(text), headline=True)) == [(0, len(text))]
    assert len(list(Splitter().spans(text, 0, len(text)))) == 2


def test_long_input_without_boundaries_is_linear_enough_to_finish():
    assert len(SPLIT('A. "' * 100_000)) >= 1
    assert len(SPLIT("a" * 1_000_000 + ". Ia")) == 2
