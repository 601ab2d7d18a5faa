import json
import lzma
import re
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import SHARED

from netral.config import TextSettings
from netral.errors import NetralError
from netral.records import Article
from netral.text import TextStage
from netral.text.clean import INLINE_RULES, LINE_RULES, Cleaner
from netral.text.normalise import normalise

STAGE = TextStage(TextSettings())


def run(text, title=""):
    article = Article("a.txt", 1, "a", text, title)
    found = STAGE.run(article)
    for sentence in found.sentences:
        assert text[sentence.start : sentence.end] == sentence.text
        assert sentence.text.strip() == sentence.text
    for drop in found.drops:
        assert text[drop.start : drop.end] == drop.text
    return found


def kept(text, title=""):
    return [s.text for s in run(text, title).sentences]


BODY = "Bupati meminta seluruh ASN menjaga netralitas selama pilkada berlangsung."
DROPPED_LINES = [
    ("Baca juga: Harga cabai naik lagi", "teaser"),
    ("BACA JUGA: HARGA CABAI", "teaser"),
    ("Simak Juga: Video banjir", "teaser"),
    ("Berita terkait: KPU buka pendaftaran", "teaser"),
    ("Tags: ASN, pilkada", "tags"),
    ("#asn #pilkada", "tags"),
    ("Bagikan: Facebook Twitter WhatsApp", "share"),
    ("Share ke WhatsApp", "share"),
    ("Foto: Humas Pemkot", "caption"),
    ("Suasana apel di halaman kantor. (Foto: Dok. Humas)", "caption"),
    ("Warga antre di TPS. SUARA FOTO/Budi Raharjo/foc", "caption"),
    ("Pewarta: Budi Santoso", "byline"),
    ("Editor: Siti", "byline"),
    ("(ags/ref)", "sign_off"),
    ("===== Referensi: https://warta.example/1", "references"),
    ("COPYRIGHT © ANTARA 2024", "copyright"),
    ("Halaman 1 2 3 Selanjutnya", "pager"),
    ("Selanjutnya »", "pager"),
    ("Beranda » Politik » Pilkada", "navigation"),
    ("ADVERTISEMENT", "advertisement"),
    ("SCROLL TO CONTINUE WITH CONTENT", "advertisement"),
    ("Ikuti WhatsApp Channel kami", "follow"),
    ("Tulis komentar", "comments"),
    ("Senin, 7 Oktober 2024 | 10:30 WIB", "timestamp"),
    ("spot_imgspot_imgspot_img", "no_words"),
    ("=====", "no_words"),
]


@pytest.mark.parametrize(("line", "rule"), DROPPED_LINES)
def test_line_rules_drop_their_line_and_only_that(line, rule):
    found = run(f"{BODY}\n\n{line}\n\nIa hadir kemarin.")
    assert [s.text for s in found.sentences] == [BODY, "Ia hadir kemarin."]
    assert [(d.text, d.rule) for d in found.drops] == [(line, rule)]


PARAGRAPH = [BODY, *(f"Kalimat nomor {n} menambah panjang paragraf yang sama ini." for n in range(8))]
INLINE_CASES = [
    (f"{BODY} Baca juga: Harga cabai naik\nIa hadir.", [BODY, "Ia hadir."], ["teaser"]),
    (f"{BODY}Baca JugaIa hadir.", [BODY, "Ia hadir."], ["teaser"]),
    (f"{BODY} Baca juga: Warga kenang awan panas Ia memperingatkan warga lagi.", [BODY, "Ia memperingatkan warga lagi."], ["teaser"]),
    (f"{BODY} Advertisement Ia hadir.", [BODY, "Ia hadir."], ["advertisement"]),
    (f"{BODY} [Gambas:Video Warta] (ags/ref)", [BODY], ["embed", "sign_off"]),
    (f"{BODY} (Ref)", [BODY], ["sign_off"]),
    (f"{BODY} ===== Referensi: https://warta.example/1 https://warta.example/2", [BODY], ["references"]),
    (f"{BODY} Halaman: 1 2 Selanjutnya", [BODY], ["pager"]),
    (f"{BODY}Pewarta: Budi SantosoEditor: Siti COPYRIGHT © WARTA 2024", [BODY], ["byline"]),
    (f"{BODY} Copyright © WARTA 2024", [BODY], ["copyright"]),
    (f"{BODY} Tags: ASN, pilkada", [BODY], ["tags"]),
    (f"{BODY} Bagikan: Facebook Twitter WhatsApp", [BODY], ["share"]),
    (f"{BODY}Ikuti WhatsApp Channel kami", [BODY], ["follow"]),
    # A short line that ends with a credit is a caption; a long paragraph only carries one at its end.
    (f"{' '.join(PARAGRAPH)} (Foto: Humas Pemkot)", PARAGRAPH, ["caption"]),
]


@pytest.mark.parametrize(("text", "expected", "rules"), INLINE_CASES)
def test_inline_rules(text, expected, rules):
    found = run(text)
    assert [s.text for s in found.sentences] == expected
    assert [d.rule for d in found.drops] == rules


@pytest.mark.parametrize(
    "sentence",
    [
        "Warga diminta baca juga aturan itu sebelum mendaftar.",
        "Pendaftaran dibuka di Komisi Pemilihan Umum (KPU)",
        "Editor: istilah ini dipakai untuk penyunting naskah di banyak kantor berita, kata Budi" + " dan rekan-rekannya" * 20 + ".",
        "Ia berkata begini (dan semua tertawa).",
        "Foto itu beredar luas di media sosial.",
        "Menu makan siang di kantor bupati diganti.",
    ],
)
def test_sentences_that_only_look_like_noise_stay(sentence):
    assert kept(f"{BODY}\n{sentence}") == [BODY, sentence]


def test_every_rule_has_a_case():
    assert {rule for _, rule in DROPPED_LINES} == set(LINE_RULES)
    inline = {rule for _, _, rules in INLINE_CASES for rule in rules}
    assert inline == {rule.replace("_marker", "") for rule in INLINE_RULES}


@pytest.mark.parametrize(
    "line",
    [
        "Halaman " + " ".join(map(str, range(60))) + " teks akhir",
        "Halaman " + "1" * 200 + " x y",
        "salin tautan " * 30 + "x y",
        "Bagikan: " + "salin tautan " * 30 + "x y",
        "Senin, " * 50 + "7 Oktober",
        "(" * 200 + "foto",
        "A. " * 130,
        "#a " * 130 + "x.",
        "Baca juga " * 40 + "x",
    ],
)
def test_no_rule_blows_up(line):
    """A pattern that backtracks exponentially would not come back from these within the life of the test run."""
    run(f"{BODY} {line}")
    run(line)


def test_a_teaser_broken_over_two_lines_is_dropped_whole():
    text = f"{BODY} Baca juga: Harga cabai di pasar induk kota naik tajam\nsekali lagi hari ini"
    assert kept(text) == [BODY]


def test_an_unknown_rule_is_refused():
    with pytest.raises(NetralError, match="did you mean teaser"):
        TextStage(TextSettings(disabled_rules=["teasr"]))


def test_title_repeats_can_be_kept():
    stage = TextStage(TextSettings(disabled_rules=["title_repeat"]))
    article = Article("a", 1, "a", f"Judul Berita\n{BODY}\nJudul Berita", "Judul Berita")
    assert [s.text for s in stage.run(article).sentences] == ["Judul Berita", BODY, "Judul Berita"]


def test_a_repeated_body_is_kept_once_with_its_short_sentences():
    body = f'{BODY}\n"Ya," katanya.\nPendaftaran calon dibuka pertengahan Agustus di kantor KPU setempat.'
    assert len(kept(body + "\n" + body)) == 3


def test_a_short_sentence_may_stand_twice():
    assert kept(f'"Ya," katanya. {BODY} "Ya," katanya.') == ['"Ya," katanya.', BODY, '"Ya," katanya.']


def test_a_headline_is_kept_once():
    title = "Bupati Ingatkan ASN Jaga Netralitas"
    found = run(f"{title}\n{BODY}\n{title}\n{title} - Warta Lawu", title)
    assert [s.text for s in found.sentences] == [title, BODY]
    assert [d.rule for d in found.drops] == ["title_repeat", "title_repeat"]


def test_a_broken_line_is_joined():
    text = "Bupati meminta seluruh pegawai di lingkungan pemerintah\nkabupaten menjaga netralitas."
    assert kept(text) == [text]


def test_rules_can_be_switched_off():
    stage = TextStage(TextSettings(disabled_rules=["teaser", "body_repeat"]))
    assert [s.text for s in stage.run(Article("a", 1, "a", "Baca juga: Judul")).sentences] == ["Baca juga: Judul"]


NEWSISH = st.lists(
    st.one_of(
        st.sampled_from(
            [
                BODY,
                "Baca juga: Judul",
                "&nbsp;",
                "\u00a0",
                "\u200b",
                "\n",
                "\n\n",
                " ",
                ".",
                '"',
                "”",
                "(ref)",
                "Advertisement",
                "kata dia.",
                "&amp;",
                "\r\n",
            ]
        ),
        st.text(max_size=12),
    ),
    max_size=30,
).map("".join)


@given(NEWSISH)
def test_offsets_hold_for_any_text(text):
    found = run(text)
    spans = [(s.start, s.end) for s in found.sentences]
    assert spans == sorted(spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


@given(NEWSISH)
def test_no_letter_is_lost(text):
    """Every letter or digit of the source is in a sentence or in a drop, entities that are spaces apart."""
    found = run(text)
    covered = set()
    for part in [*found.sentences, *found.drops]:
        covered.update(range(part.start, part.end))
    normalised = normalise(text)
    for i, character in enumerate(normalised.text):
        if character.isalnum():
            assert normalised.source_span(i, i + 1)[0] in covered


def written_from(rule, flags=0):
    """Text that a rule takes, written by Hypothesis from its pattern."""
    return st.from_regex(re.compile(rule, flags | re.DOTALL))


class Unfiltered(Cleaner):
    """Tries every inline rule at every character."""

    def _inline_matches(self, text, start, end):
        return self._inline.finditer(text, start, end)


@pytest.mark.parametrize("rule", INLINE_RULES)
@given(data=st.data())
def test_an_inline_rule_begins_only_where_it_is_looked_for(rule, data):
    around = st.lists(st.sampled_from([BODY, ".", '"', ")", " ", "\n", "(ref)", "Baca juga: A"]), max_size=4).map("".join)
    text = data.draw(around) + data.draw(written_from(INLINE_RULES[rule])) + data.draw(around)
    assert list(Cleaner().spans(text)) == list(Unfiltered().spans(text))


UNGUARDED_CAPTION = re.sub(r"\(\?=\[\^(.+?)\]\*\[?\1\]?\)", "", LINE_RULES["caption"])


@given(st.one_of(written_from(UNGUARDED_CAPTION, re.IGNORECASE), st.text()))
def test_the_lookaheads_of_the_caption_rule_change_nothing(text):
    assert "(?=" not in UNGUARDED_CAPTION
    guarded, plain = (re.compile(rule, re.IGNORECASE | re.DOTALL) for rule in (LINE_RULES["caption"], UNGUARDED_CAPTION))
    assert bool(guarded.fullmatch(text)) == bool(plain.fullmatch(text))


def test_with_all_rules_disabled_nothing_is_dropped():
    text = f"{BODY}\nBaca juga: Judul\n=====\n(ref)"
    spans = list(Cleaner(tuple({*LINE_RULES, *INLINE_RULES})).spans(text))
    assert [text[s.start : s.end] for s in spans] == text.split("\n")
    assert not any(s.rule for s in spans)


def test_gold_sentences_come_out_of_their_noisy_articles(gold_articles, gold_labels):
    wanted = {(row["article_id"], row["start"], row["end"]) for row in gold_labels}
    found = set()
    for row in gold_articles:
        for s in STAGE.run(Article("g", 1, row["id"], row["text"], row["title"])).sentences:
            found.add((row["id"], s.start, s.end))
    assert len(wanted & found) / len(wanted) >= 0.995
    assert len(found - wanted) <= len(wanted) * 0.005


def test_offsets_on_real_articles(shared):
    for path in sorted((SHARED / "articles").glob("*.txt")):
        assert len(run(path.read_text(encoding="utf-8")).sentences) >= 8


def test_offsets_on_two_thousand_crawled_articles(shared):
    with lzma.open(SHARED / "corpora" / "news.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in islice(lines, 0, 57_000, 28):
            run(json.loads(line)["text"])
