"""Splits Indonesian news paragraphs into sentences.

The unit is the codebook's: a quotation with its attribution is one sentence, a quotation of several sentences is
split inside. Written for this project because it beats the maintained splitters on Indonesian news;
docs/decisions.md has the measurement.
"""

import re
from collections.abc import Iterator

# Never end a sentence: something belonging to them always follows (a name, a number, a place).
_NEVER_END = frozenset(
    """
    h hj drs dra drh ir dr prof pj plt plh pjs pjt kh ust tgk tn ny nn sdr sdri bpk yth rr gus hja moh moch muh mohd muhd
    abd th dg mr mrs ms d.h kls ttd drg kombes kompol akbp akp iptu ipda aiptu aipda bripka brigadir brigjen irjen komjen
    letkol letjen mayjen kolonel letda lettu kapt serka serma pol inf kav art laks marsda marsma laksma laksda no nos nomor
    kab kec kel ds dsn jl jln jend jendr gg tgl prov hlm hal rp us a.n an u.p up d.a da jo cf ttg tsb art pt cv ud fa tb st
    """.split()
)
# May stand at the end of a sentence as well as within it.
_MAY_END = frozenset("dll dkk dsb dst dsbnya tbk wib wita wit s.d sd vs ltd inc co corp etc jr sr".split())
# Titles after a name: "S.H.", "M.Si.", "S.I.K.", "Lc.", "A.Md.", "Ph.D."
_DEGREE = re.compile(
    r"(?:[SM]\.[A-Z]|(?:[A-Z][A-Za-z]{0,3}\.)+[A-Z][a-z]{1,4}(?:\.[A-Z])?|S\.[IK]\.[A-Z]{1,3}|Ph\.D|LL\.M|Lc|MSi|SSos|Sp\.[A-Z]{1,3})$"
)
_DEGREE_GOES_ON = re.compile(r"(?:(?:[A-Z][A-Za-z]{0,3}\.)*(?:[A-Z][A-Za-z]{0,4})\.?,|\s+(?:[SM]\.[A-Z]|Lc\b|Ph\.D|LL\.M|Sp\.))|[A-Z]\.")
# A capital behind one of these names a thing, not a person: "Grup B." may end a sentence, "Budi B." may not.
_LETTERED = frozenset(
    """
    grup blok gerbang golongan vitamin hepatitis kelas tipe seri lampiran kategori zona poin pintu tribun tribune opsi paket
    ruang gedung sektor klaster kluster kelompok titik formulir sim model huruf nilai peringkat akreditasi jalur koridor
    terminal
    """.split()
)
_INITIALS = re.compile(r"(?:[A-Z]\.)*[A-Z]$")
# Words that open an Indonesian news sentence and are no names: behind an initial or an abbreviation that may
# end a sentence, one of these tells that it did.
_STARTERS = frozenset(
    """
    ia dia mereka kami kita saya beliau ini itu hal tersebut namun tetapi tapi akan sedangkan sementara adapun selain
    selanjutnya kemudian lalu setelah sebelum sebelumnya saat ketika pada di ke dari dalam untuk dengan karena sebab oleh
    akibat atas bagi menurut menurutnya berdasarkan sesuai terkait mengenai tentang jika kalau bila apabila meski meskipun
    walau walaupun agar supaya para semua seluruh setiap tiap sejumlah beberapa banyak ada tidak bukan belum sudah telah
    masih juga hanya bahkan apalagi hingga sampai sejak selama antara seperti yakni yaitu artinya jadi maka sehingga bahwa
    warga polisi petugas pihak acara kegiatan pemerintah pemprov pemkab pemkot bawaslu kpu panwaslu pilkada pemilu asn pns
    tni polri kpps dprd dpr bupati gubernur camat lurah kepala ketua wakil wali sekretaris anggota rapat sidang putusan
    aturan pasal undang-undang surat keputusan pelanggaran penyidik tersangka terdakwa korban pelaku kasus laporan
    pengadilan hakim jaksa majelis masyarakat pegawai calon pasangan rencananya nantinya kini sekarang besok kemarin hari
    tahun bulan pukul total jumlah rata-rata harga perusahaan saham tim pertandingan laga pertama kedua ketiga hasil
    hasilnya data survei dua tiga empat lima puluhan ratusan ribuan sebanyak mari silakan jangan mengapa apa siapa bagaimana
    kapan di mana begitu demikian lebih upaya langkah proses tujuan tujuannya peserta panitia rombongan keduanya ketiganya
    semuanya pemohon penggugat terlapor teradu pelapor saksi kuasa
    """.split()
)
_CLOSERS = "\"”’'»)]"
_OPENERS = "\"“‘'«(["
# A run of end marks with what closes behind it; the loop decides whether it ends a sentence.
_CANDIDATE = re.compile(rf"[.!?…]+[{re.escape(_CLOSERS)}]*")
_TOKEN_EDGE = re.compile("[(\\[\"“‘'«/]")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
# No abbreviation, name part or enumerator is longer; looking back further would make long lines slow.
_LOOK_BACK = 60
_HEADLINE_CHARS = 150
_NEXT_WORD = re.compile(rf"[{re.escape(_OPENERS)}]*([\w\-]+)")
# Lower-case words that open a sentence all the same: brands ("eBay"), a doctor's title, a lettered list item.
_LOWER_START = re.compile(r"(?:[a-z]{1,2}-?[A-Z]|drg?\. ?[A-Z]|[a-z]\. [A-Z])")


class Splitter:
    """Finds the sentences of one paragraph of normalised text.

    Example:
        >>> Splitter().sentences('"Kami netral," kata H. Budi, S.Sos. Ia hadir pukul 08.30 WIB.')
        ['"Kami netral," kata H. Budi, S.Sos.', 'Ia hadir pukul 08.30 WIB.']
    """

    def sentences(self, text: str) -> list[str]:
        """Return the sentences of a paragraph."""
        return [text[start:end] for start, end in self.spans(text, 0, len(text))]

    def spans(self, text: str, start: int, end: int, *, headline: bool = False) -> Iterator[tuple[int, int]]:
        """Yield the span of each sentence between two offsets, without spaces at its ends.

        A ``headline`` without a final mark is one sentence even with a question in it (`Boleh Like? Ini Aturannya`).
        """
        if headline and end - start <= _HEADLINE_CHARS and text[end - 1].isalnum():
            yield start, end
            return
        counted, quotes = start, 0
        for match in _CANDIDATE.finditer(text, start, end):
            if match.end() >= end:
                break
            quotes += text.count('"', counted, match.start())
            counted = match.start()
            cut = _cut(text, start, match, quotes % 2 == 1, end)
            if cut is not None and cut > start and _LETTER_OR_DIGIT.search(text, start, cut):
                yield start, cut
                start = cut
                while start < end and text[start].isspace():
                    start += 1
        if start < end:
            yield start, end


def _token_before(text: str, start: int, stop: int) -> str:
    if stop == start or text[stop - 1].isspace():
        return ""
    word = text[max(start, stop - _LOOK_BACK) : stop].rsplit(None, 1)[-1]
    return word if word.isalnum() else _TOKEN_EDGE.split(word)[-1]


def _cut(text: str, start: int, match: re.Match[str], in_quotation: bool, end: int) -> int | None:
    """Decide where the sentence ends at this candidate, or return None if it goes on."""
    stop, after = match.start(), match.end()
    marks = match.group()
    # A straight quote behind the mark may open the next sentence: `…kemarin."Kami siap`.
    quote = marks.find('"')
    if quote >= 0 and not in_quotation:
        after = stop + quote
        marks = marks[:quote]
        # Counting fails where the crawl lost a quote: a space behind and none before tells it closes.
        if text[after + 1 : after + 2].isspace() and not text[after - 1].isspace():
            after, marks = match.end(), match.group()
    spaced = text[after].isspace() if after < end else True
    following = after
    while following < end and text[following].isspace():
        following += 1
    if following >= end:
        return None
    next_char = text[following]
    opens = next_char in _OPENERS
    word = _NEXT_WORD.match(text, following, end)
    next_word = word.group(1) if word else ""
    if next_word[:1].islower() and not (spaced and _LOWER_START.match(text, following)):
        return None  # attribution behind a quotation, or an abbreviation not in the lists
    if not next_word and not opens:
        return None
    plain_dot = marks.strip(_CLOSERS) == "."
    closed = len(marks) > len(marks.rstrip(_CLOSERS))
    if not spaced and not _glued_end(text, start, stop, following, next_word, opens or closed, plain_dot):
        return None
    if (marks.lstrip(".").strip(_CLOSERS) == "" and marks.count(".") > 1) or "…" in marks:
        return after
    if plain_dot and not _dot_ends(text, start, stop, next_word, opens, closed):
        return None
    return after


def _glued_end(text: str, start: int, stop: int, following: int, next_word: str, quoted: bool, plain_dot: bool) -> bool:
    """Tell whether a mark without a space behind it ends a sentence (`…kata dia.Menurutnya`)."""
    if text[stop - 1 : stop].isspace() or stop == start:
        return False
    if not next_word[:1].isupper() and not quoted:
        return False
    token = _token_before(text, start, stop)
    if quoted or not plain_dot:
        return True
    if "://" in token or token.startswith("www.") or "@" in token:
        return False
    # "S.Sos", "M.Si", "D.I.Yogyakarta": single capitals are parts of an abbreviation.
    last = token.rsplit(".", 1)[-1]
    if len(last) <= 1 and not last.isdigit():
        return False
    if len(next_word) == 1 and text[following + 1 : following + 2] == ".":
        return False  # "Ph.D.", "LL.M."
    return next_word[1:2].islower() or _is_starter(next_word) or len(next_word) == 1 or last[-1:].islower()


def _is_starter(word: str) -> bool:
    return word.lower() in _STARTERS


def _dot_ends(text: str, start: int, stop: int, next_word: str, opens: bool, closed: bool) -> bool:
    """Tell whether a single full stop ends a sentence rather than an abbreviation, initial or ordinal."""
    token = _token_before(text, start, stop)
    token_start = stop - len(token)
    lower = token.lower().removeprefix("se-")  # "se-Kab."
    if not token:
        return True
    starter = _is_starter(next_word)
    if closed:
        # "AKBP (Purn.) Darwis": a single word in brackets is an abbreviation; anything longer is a sentence.
        return not (text[token_start - 1 : token_start] == "(" and text[stop + 1 : stop + 2] == ")")
    if lower == "hlm" and text[max(0, token_start - 2) : token_start].rstrip()[-1:].isdigit():
        return True
    if lower in _NEVER_END and not (starter and lower in ("pol", "hal", "us", "st", "an", "up", "da", "art", "tb", "tsb", "pt", "nomor")):
        return False
    if lower in _MAY_END:
        return starter or opens or (next_word[:1].isupper() and lower in ("dll", "dkk", "dsb", "dst", "tbk", "wib", "wita", "wit"))
    if token.isdigit() or (len(token) == 1 and token.islower()):
        return not _is_enumerator(text, start, token_start, token)
    if _DEGREE.match(token):
        return not _DEGREE_GOES_ON.match(text, stop + 1)
    if _INITIALS.match(token):
        return _initial_ends(text, start, token_start, token, starter or opens)
    return True


def _is_enumerator(text: str, start: int, token_start: int, token: str) -> bool:
    """Tell whether `1.` or `a.` numbers a list item: at the start of the sentence or behind a colon or semicolon."""
    if len(token) > 2:
        return False
    while token_start > start and (text[token_start - 1].isspace() or text[token_start - 1] in _OPENERS):
        token_start -= 1
    return token_start == start or text[token_start - 1] in ":;"


def _initial_ends(text: str, start: int, token_start: int, token: str, starts: bool) -> bool:
    """Decide on `A.` or `D.I.`: mostly part of a name; `vitamin C.` before a word that opens a sentence is not."""
    words = text[max(start, token_start - _LOOK_BACK) : token_start].split()
    previous = words[-1] if words else ""
    if (len(token) > 1 and "." not in token) or (len(token) == 1 and previous.lower() in _LETTERED):
        return True
    return bool(previous) and starts and (previous[:1].islower() or previous[:1].isdigit() or len(words) > 1)
