import html

from hypothesis import given
from hypothesis import strategies as st

from netral.text import model_text
from netral.text.normalise import _ANY_ZERO_WIDTH, _CHANGES_LENGTH, normalise

PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["&nbsp;", "&amp;", "&quot;", "&#8220;", "&#x27;", "&tak;", "&", "\u00a0", "\u200b", "\ufeff", "\r\n", "\r", "\t", "ASN", ". "]
        ),
        st.text(max_size=8),
    )
).map("".join)


@given(PIECES)
def test_every_span_maps_to_source_that_normalises_to_it(text):
    found = normalise(text)
    for start in range(len(found.text)):
        a, b = found.source_span(start, start + 1)
        assert 0 <= a < b <= len(text)
        assert found.text[start] in normalise(text[a:b]).text or text[a] == "\r"


@given(st.one_of(PIECES, st.from_regex(_CHANGES_LENGTH)))
def test_the_quick_look_sees_every_text_whose_length_changes(text):
    assert "&" in text or _ANY_ZERO_WIDTH.search(text) or not _CHANGES_LENGTH.search(text)


@given(PIECES)
def test_spans_keep_their_order(text):
    found = normalise(text)
    starts = [found.source_span(i, i + 1)[0] for i in range(len(found.text))]
    assert starts == sorted(starts)


@given(PIECES)
def test_model_text_is_stable_and_single_spaced(text):
    once = model_text(text)
    assert "  " not in once
    assert once == once.strip()


def test_entities_and_odd_spaces():
    text = "Rp5\u00a0juta\u200b &quot;tunai&quot;&nbsp;&amp; &tak; sah"
    found = normalise(text)
    assert found.text == 'Rp5 juta "tunai" & &tak; sah'
    start = found.text.index('"tunai"')
    a, b = found.source_span(start, start + 7)
    assert text[a:b] == "&quot;tunai&quot;"
    assert html.unescape(text[a:b]) == '"tunai"'


def test_plain_text_is_not_copied():
    text = "ASN harus netral."
    assert normalise(text).text is text


def test_capitals_are_calmed_for_the_model_only_where_a_whole_sentence_shouts():
    assert model_text("CAMAT DAN LURAH DIMINTA NETRAL, KATA KETUA KPU") == "Camat dan lurah diminta netral, kata ketua KPU"
    assert model_text("“ASN HARUS TETAP NETRAL SAMPAI AKHIR!”") == "“ASN harus tetap netral sampai akhir!”"
    for kept in ("BANDUNG, WARTA – Bupati meminta ASN netral.", "KPU dan TNI", "UU ASN DAN PP"):
        assert model_text(kept) == kept


@given(st.text())
def test_the_form_for_the_model_is_stable(text):
    once = model_text(text)
    assert model_text(once) == once or "&" in text
