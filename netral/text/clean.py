"""Takes out what a crawl adds to an article, each stretch with the name of the rule that took it.

Rules come in two kinds. A *line rule* takes a whole line. An *inline rule* takes a stretch within a
line, because many crawls lose the line breaks (``…katanya.Baca juga: Judul lain``); what stands before and
behind it are then separate blocks. The patterns were written from the forms found in a quarter of 57,000 crawled articles.
"""

import difflib
import re
from collections.abc import Iterator
from typing import NamedTuple

from netral.errors import NetralError

_SHARE = (
    r"share|bagikan|sebarkan|facebook|twitter|x|whatsapp|telegram|line|linkedin|pinterest|instagram|tiktok|threads"
    r"|e-?mail|copy ?link|salin(?: tautan| link)?|cetak|print|tweet|kirim|simpan|tautan(?: berhasil disalin| disalin)?"
    r"|ke|via|di|berita ini|artikel ini|sekarang|dan"
)
_DAY = r"(?:senin|selasa|rabu|kamis|jum.?at|sabtu|minggu|ahad)"
_CREDIT = (
    r"foto|dok|ist|istimewa|ilustrasi|antara foto|antara/|image|credit|sumber foto|shutterstock|getty|afp|reuters"
    r"|humas|pexels|unsplash|freepik"
)
_TEASER_HEAD = (
    r"(?:(?:baca|simak|lihat|tonton|saksikan)\s?(?:juga|pula|lainnya|selengkapnya)"
    r"|(?:berita|artikel|video)\s?(?:terkait|lainnya|terpopuler|pilihan)\s?:"
    r"|pilihan\s?(?:editor|redaksi)\s?:"
    r"|selengkapnya\s(?:di\s(?:sini|halaman|penjelasan)|baca))"
)

# Whole lines, matched from the first character to the last, upper or lower case alike.
LINE_RULES: dict[str, str] = {
    "no_words": r"[\W\d_]*|null|(?:spot_img)+|[\\\s]*\[(?:img|video|embed)\.?\d*\\?\][\\\s]*",
    "teaser": rf"(?:[-–•*>»]+\s*)?{_TEASER_HEAD}.*",
    "tags": r"(?:tags?|topik|kata kunci|keywords?|label)\s*:.*|(?:#\w+[\s,]*)+",
    "share": rf"(?:{_SHARE})(?:[\s:,|/.]+(?:{_SHARE}))*+[\s:,|/.]*",
    # The lookaheads ask for a character that the pattern behind them needs: without them this rule, which looks at every
    # character of a line, took four times as long as all others together.
    "caption": (
        rf"(?:foto|gambar|ilustrasi|keterangan foto|caption|video)\s*:.*"
        rf"|(?=[^(\[]*[(\[]).{{0,300}}[(\[]\s*(?:(?:\w+ )?foto/|foto \w+/|(?:{_CREDIT})\b)[^()]{{0,80}}[)\]][.\s]*"
        r"|(?=[^/]*/).{0,300}\b(?:\w+ foto|foto \w+)/.*|(?=[^:]*:).{0,250}[.!]\s(?:foto|dok)\s?:\s.{0,80}|perbesar|klik untuk perbesar"
    ),
    "byline": (
        r"\(?\s*(?:pewarta|editor|reporter|penulis|jurnalis|wartawan|uploader|redaktur|kontributor|laporan|penyunting"
        r"|author|oleh|sumber)\s*:.*|\((?:ditulis|disunting) oleh [^()]*\)|hasil periksa fakta .*"
    ),
    "references": r"[=\s]*(?:referensi|rujukan)\s*:.*",
    "sign_off": r"[(\[]\s*(?:[a-z]{1,5}|\*+)(?:\s?[/\-]\s?[a-z\d]{1,5}){0,3}\s*[)\]]\.?",
    "copyright": r"(?:copyright|hak cipta|©|\(c\)).*|all rights reserved.*|dilarang (?:keras )?(?:mengambil|menyalin|mengutip) .*",
    "pager": r"(?:halaman|laman|page)\s*(?:selanjutnya|berikutnya)?\s*:?\s*\d+(?:[\s|/]+(?:\d+|dari|of|selanjutnya|berikutnya|next|semua)\b)*"
    r"|(?:halaman |laman |berita |artikel )?(?:selanjutnya|berikutnya|sebelumnya|next|prev(?:ious)?)[\s>»:]*|selengkapnya[\s>»:]*"
    r"|(?:show all|tampilkan semua|lihat semua|load more|muat lebih banyak)",
    "navigation": r"(?:beranda|home)\s*(?:[»>/|›].*)?|cari|search|menu|login|masuk|daftar|langganan|terpopuler|terkini|trending"
    r"|(?:berita|artikel|video|kabar) (?:terkait|terpopuler|terkini|terbaru|lainnya|pilihan)|daftar isi|rekomendasi(?: untuk anda)?",
    "advertisement": r"(?:advertisement|advertorial|iklan|adv|ads|sponsored|pariwara)\b[\s.:\-–]*(?:scroll.*|gulir.*|lanjut.*)?"
    r"|(?:scroll|gulir)\b.{0,60}(?:content|konten|membaca|berita|lanjut\w*)[\s.]*",
    "follow": r"(?:ikuti|follow|dapatkan|cek|simak|baca|gabung)\b.{0,120}\b(?:google ?news|(?:whatsapp|wa|telegram) ?(?:channel|grup|group)?"
    r"|channel|saluran whatsapp|aplikasi)\b.{0,60}",
    "comments": r"(?:\d+\s+)?komentar|(?:tulis|beri|tinggalkan|kirim|lihat)(?:kan)? (?:komentar|balasan).*|comments?",
    "timestamp": rf"(?:[^.!?\n]{{0,40}}\s[|\-–]\s)?(?:{_DAY}\s*,?\s*)?\d{{1,2}}\s*[/\-\s]\s*(?:\d{{1,2}}|[a-z]{{3,9}})\s*[/\-\s]\s*\d{{2,4}}"
    r"(?:\s*[|,\-–]?\s*(?:pukul\s*)?\d{1,2}[.:]\d{2}(?::\d{2})?)?(?:\s*(?:wib|wita|wit))?(?:\s*[|\-–]\s*[^.!?]{0,60})?",
}  # fmt: skip

_SENTENCE_END = r"(?:(?<=[.!?…\"”’'’)\]])|(?<=[.!?…\"”’)\]]\s))"
_OPENING = (
    r"(?:Ia|Dia|Mereka|Kami|Kita|Hal|Menurut|Menurutnya|Namun|Selain|Selanjutnya|Sementara|Sebelumnya|Adapun|Sebab|Karena|Untuk|Oleh"
    r"|Dalam|Pada|Saat|Ketika|Setelah|Sebelum|Tahap|Seperti|Jika|Meski|Dengan|Berdasarkan|Akibat|Kemudian|Lalu|Para|Salah|Sejumlah)"
)
# Stretches within a line. Case matters here: a lower-case "baca juga" within a sentence is prose.
INLINE_RULES: dict[str, str] = {
    # The embed markers of the large portals can stand anywhere.
    "embed": r"\\?\[\s?[Gg]ambas\s?:[^\]]{0,60}\]|\\?\[(?:img|video|embed)\.\d+\\?\]",
    # A bare marker glued to the next sentence ("…persen.Baca JugaInflasi naik") takes nothing with it.
    "teaser_marker": rf"{_SENTENCE_END}(?:Baca|Simak|Lihat) ?Juga(?=[A-Z\"“])",
    # With a headline behind it, the teaser ends with the line. Where the crawl lost the line break it ends with the first
    # full stop, before a word that opens a sentence ("… Awan Panas Ia memperingatkan"), or where two words are glued.
    "teaser": (
        rf"{_SENTENCE_END}\(?(?:(?:Baca|Simak|Lihat|Tonton|Saksikan)\s(?:[Jj]uga|[Pp]ula|[Ss]elengkapnya)|(?:BACA|SIMAK|LIHAT) JUGA"
        r"|(?:Berita|Artikel)\s(?:[Tt]erkait|[Ll]ainnya)\s?:|Pilihan (?:Editor|Redaksi)\s?:)"
        rf"\s?:?.*?(?:[.!?]+[\"”)]*(?=\s[A-Z\"“])|\s(?={_OPENING}\s[a-z])|(?<=[a-z\d!?)])(?=[A-Z][a-z]+\s[a-z]|[\"“][A-Z])|$)"
    ),
    "advertisement": rf"{_SENTENCE_END}(?:ADVERTISEMENT|Advertisement|SCROLL TO (?:CONTINUE|RESUME)(?: WITH)? CONTENT|Scroll to continue(?: with content)?"
    r"|Gulir untuk (?:lanjut|melanjutkan) membaca)(?:\s*(?:SCROLL TO (?:CONTINUE|RESUME)(?: WITH)? CONTENT|Scroll to continue(?: with content)?))?",
    "byline": rf"{_SENTENCE_END}(?:Pewarta|Editor|Reporter|Penulis|Uploader|Redaktur|Penyunting)\s?:\s.{{0,200}}$",
    "references": rf"(?:{_SENTENCE_END}|(?<=\s))=*\s?(?:={{3,}}\s?(?:Referensi|Sumber)|REFERENSI|Referensi)\s?:\s.{{0,2000}}$",
    "copyright": rf"{_SENTENCE_END}(?:(?:COPYRIGHT|Copyright|Hak [Cc]ipta)\s?(?:©|\(c\)|ANTARA|\d)|©\s?\d{{4}}).{{0,200}}$",
    "tags": rf"{_SENTENCE_END}(?:Tags?|TAGS?|Topik|Kata Kunci)\s?:\s.{{0,300}}$",
    "follow": rf"{_SENTENCE_END}(?:Cek|Ikuti|Dapatkan|Baca)\s(?:[Bb]erita|[Ww]hats[Aa]pp|[Uu]pdate|[Ii]nformasi|[Aa]rtikel)\b.{{0,120}}"
    r"(?:Google News|[Cc]hannel|WhatsApp|Telegram)\b.{0,60}$",
    "pager": rf"{_SENTENCE_END}(?:Simak |Baca |Berita )?(?:[Ss]elengkapnya|[Hh]alaman):? (?:di |ada di )?(?:[Hh]alaman )?(?:[Ss]elanjutnya|[Bb]erikutnya|\d+ \d+).{{0,60}}$",
    "share": rf"{_SENTENCE_END}(?:Bagikan|Share)(?:\s?:?[\s,|/]+(?:{_SHARE}|Facebook|Twitter|X|WhatsApp|Telegram))++\s*$",
    # "(ags/ref)" anywhere behind a full stop; a single "(ref)" only at the end of a line, where it can be no aside.
    "sign_off": r"(?<=[.!?\"”\]])\s{0,3}\*{0,3}\s?[(\[]\s?[a-zA-Z]{2,5}(?:\s?[/\-]\s?[a-zA-Z\d]{1,5}){1,3}\s?[)\]]\.?"
    r"|(?<=[.!?\"”\]])\s{0,3}\*{0,3}\s?[(\[]\s?(?:[a-zA-Z]{2,5}|\*+)\s?[)\]]\.?(?=\s*$)|(?<=[.!?\"”])\s?\*{1,3}$",
    "caption": r"(?<=[.!?\"”])\s?\((?:[Ff]oto|[Dd]ok|[Ii]stimewa|ANTARA FOTO|ANTARA/)[^()]{0,80}\)(?=\s*$)",
}  # fmt: skip

# Applied to sentences, not to characters: netral/text/pipeline.py.
REPEAT_RULES = ("body_repeat", "title_repeat")

# Trying every inline rule at every character would be most of the text stage's work, so they are tried only where one can
# begin. All but two begin behind the mark that ends a sentence (the first set), with a bracket, an asterisk or one of these
# words, at most four spaces further on.
_INLINE_START = re.compile(
    r"[.!?…\"”’')\]](?=\s{0,4}(?:[(\[*©]|Baca|Simak|Lihat|Tonton|Saksikan|BACA|SIMAK|LIHAT|Berita|Artikel|Pilihan|ADVERTISEMENT"
    r"|Advertisement|SCROLL|Scroll|Gulir|Pewarta|Editor|Reporter|Penulis|Uploader|Redaktur|Penyunting|COPYRIGHT|Copyright|Hak [Cc]ipta"
    r"|Tag|TAG|Topik|Kata Kunci|Cek|Ikuti|Dapatkan|[Ss]elengkapnya|[Hh]alaman|Bagikan|Share))"
)  # fmt: skip
# `embed` and `references` can begin anywhere, but never in a text without one of these.
_ANYWHERE_CUES = ("ambas", "[img", "[video", "[embed", "Referensi", "REFERENSI", "===")


def _combine(rules: dict[str, str], flags: int = 0) -> re.Pattern[str]:
    # A paragraph joined from two lines holds a line feed, which a rule must be able to pass. With all rules disabled nothing matches.
    return re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in rules.items()) or "(?!)", flags | re.DOTALL)


class Span(NamedTuple):
    """A stretch of normalised text: kept when ``rule`` is empty, else dropped by that rule."""

    start: int
    end: int
    rule: str = ""


class Cleaner:
    r"""Cuts normalised text into blocks to keep and stretches to drop.

    Example:
        >>> text = 'ASN harus netral.\nBaca juga: Judul lain\nIa pergi.'
        >>> [(text[s.start:s.end], s.rule) for s in Cleaner().spans(text)]
        [('ASN harus netral.', ''), ('Baca juga: Judul lain', 'teaser'), ('Ia pergi.', '')]
    """

    def __init__(self, disabled: tuple[str, ...] = ()) -> None:
        """Compile all rules but the disabled ones.

        Raises:
            NetralError: A disabled rule does not exist.
        """
        known = sorted({*LINE_RULES, *INLINE_RULES, *REPEAT_RULES})
        for name in disabled:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
                raise NetralError(f"text.disabled_rules: no rule {name!r}; did you mean {near}?", f"rules: {', '.join(known)}")
        self._line = _combine({k: v for k, v in LINE_RULES.items() if k not in disabled}, re.IGNORECASE)
        self._inline = _combine({k: v for k, v in INLINE_RULES.items() if k not in disabled})

    def spans(self, text: str) -> Iterator[Span]:
        """Yield blocks and drops in order; together they hold every character that is not a space."""
        inline = self._inline.finditer if any(cue in text for cue in _ANYWHERE_CUES) else self._inline_matches
        for start, end in _paragraphs(text):
            rule = self._line_rule(text, start, end)
            if rule:
                yield Span(start, end, rule)
            else:
                yield from self._pieces(text, start, end, inline(text, start, end))

    def _line_rule(self, text: str, start: int, end: int) -> str | None:
        # No line rule takes a line longer than this: real paragraphs are not worth a second look.
        if end - start > 400:
            return None
        match = self._line.fullmatch(text, start, end)
        return match.lastgroup if match else None

    def _inline_matches(self, text: str, start: int, end: int) -> Iterator[re.Match[str]]:
        """Yield what ``finditer`` of the inline rules would, in a text without the cues of those that begin anywhere."""
        done = start
        for mark in _INLINE_START.finditer(text, max(start - 2, 0), end):
            # A rule begins right behind the mark or, in most cases, behind one space.
            for begin in range(mark.end(), mark.end() + 2):
                match = self._inline.match(text, begin, end) if begin >= done else None
                if match:
                    yield match
                    done = match.end()
                    break

    def _pieces(self, text: str, start: int, end: int, matches: Iterator[re.Match[str]]) -> Iterator[Span]:
        last = start
        for match in matches:
            yield from self._piece(text, last, match.start())
            yield from _stripped(text, match.start(), match.end(), (match.lastgroup or "").replace("_marker", ""))
            last = match.end()
        if last == start:
            yield Span(start, end)
        else:
            yield from self._piece(text, last, end)

    def _piece(self, text: str, start: int, end: int) -> Iterator[Span]:
        for span in _stripped(text, start, end):
            rule = self._line_rule(text, span.start, span.end)
            yield Span(span.start, span.end, rule or "")


def _stripped(text: str, start: int, end: int, rule: str = "") -> Iterator[Span]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield Span(start, end, rule)


_CLOSED = tuple('.!?…:;"”’)]')


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Yield the paragraphs: lines, with a sentence that was broken over two lines joined again."""
    pending: tuple[int, int] | None = None
    position = 0
    for line in text.splitlines(keepends=True):
        for span in _stripped(text, position, position + len(line)):
            # Joined only where the line cannot be a heading: it is long, open, and the next begins in lower case.
            joins = (
                pending is not None
                and text[span.start].islower()
                and pending[1] - pending[0] > 40
                and not text[pending[1] - 1].endswith(_CLOSED)
                and position - pending[1] <= 2
            )
            if pending and joins:
                pending = (pending[0], span.end)
            else:
                if pending:
                    yield pending
                pending = (span.start, span.end)
        position += len(line)
    if pending:
        yield pending
