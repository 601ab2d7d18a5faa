"""One spelling for the characters that crawls write in many ways, with a way back to the source.

Splitting, cleaning and the model see the normalised text; offsets always point into the text as read.
"""

import html
import re
from bisect import bisect_right
from dataclasses import dataclass

# Spaces that print as a space but break word matching: no-break, figure, narrow and ideographic
# spaces, tab and its kin. Line separators become line feeds; a carriage return before a line feed is just a space.
_ONE_TO_ONE = {
    **dict.fromkeys(
        map(ord, "\t\v\f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"), " "
    ),
    **dict.fromkeys(map(ord, "\x85\u2028\u2029"), "\n"),
}
_NEEDS_TRANSLATE = re.compile("[" + re.escape("".join(map(chr, _ONE_TO_ONE))) + "\r]")
# Characters without width: they vanish. Soft hyphen, zero-width space and joiners, byte order mark.
_ZERO_WIDTH = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_ENTITY = r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});"
_ANY_ZERO_WIDTH = re.compile(f"[{_ZERO_WIDTH}]")
_CHANGES_LENGTH = re.compile(f"{_ENTITY}|[{_ZERO_WIDTH}]+")


@dataclass(frozen=True, slots=True)
class Normalised:
    """Normalised text and the map back to the text as read.

    Attributes:
        text: The normalised text.
        norm_starts: Where each run of the normalised text begins; empty when lengths are equal.
        runs: For each run, its start in the source and the source length of its first character.
    """

    text: str
    norm_starts: tuple[int, ...] = ()
    runs: tuple[tuple[int, int], ...] = ()

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """Map a non-empty span of the normalised text to the span of the source it came from."""
        if not self.norm_starts:
            return start, end
        return self._source(start)[0], self._source(end - 1)[1]

    def _source(self, position: int) -> tuple[int, int]:
        index = bisect_right(self.norm_starts, position) - 1
        into = position - self.norm_starts[index]
        source, width = self.runs[index]
        if into == 0:
            return source, source + width
        # Within a replacement of several characters every one of them stands for the whole source token.
        if width > 1:
            return source, source + width
        return source + into, source + into + 1


def normalise(text: str) -> Normalised:
    r"""Replace odd spaces and HTML entities and drop characters without width.

    >>> normalise("Rp5\u00a0juta &quot;tunai&quot;").text
    'Rp5 juta "tunai"'
    >>> n = normalise("a &amp; b"); n.source_span(2, 3)
    (2, 7)
    """
    # Every token that changes the length holds one of these; asking for them alone is several times faster.
    if "&" not in text and not _ANY_ZERO_WIDTH.search(text):
        return Normalised(_one_to_one(text))
    parts: list[str] = []
    norm_starts: list[int] = []
    runs: list[tuple[int, int]] = []
    length = 0

    def add(piece: str, source: int, width: int) -> None:
        nonlocal length
        if piece:
            norm_starts.append(length)
            runs.append((source, width))
            parts.append(piece)
            length += len(piece)

    last = 0
    for match in _CHANGES_LENGTH.finditer(text):
        add(text[last : match.start()], last, 1)
        token = match.group()
        replaced = html.unescape(token) if token[0] == "&" else ""
        replaced = replaced.translate(dict.fromkeys(map(ord, _ZERO_WIDTH + "\0")))
        # An unknown entity such as "&co;" stays as it is, character by character.
        add(replaced, match.start(), 1 if replaced == token else len(token))
        last = match.end()
    add(text[last:], last, 1)
    return Normalised(_one_to_one("".join(parts)), tuple(norm_starts), tuple(runs))


def _one_to_one(text: str) -> str:
    if not _NEEDS_TRANSLATE.search(text):
        return text
    return re.sub(r"\r(?!\n)", "\n", text.replace("\r\n", " \n")).translate(_ONE_TO_ONE)


def model_text(sentence: str) -> str:
    r"""Give a sentence the form that the model reads: normalised, single spaces, no space at the ends.

    Every sentence goes through this, cut from an article or read as such, so both score the same.

    >>> model_text("  Wali\u00a0Kota \n meminta&nbsp;ASN netral. ")
    'Wali Kota meminta ASN netral.'
    >>> model_text("WALI KOTA: ASN TIDAK BOLEH IKUT KAMPANYE")
    'Wali kota: ASN tidak boleh ikut kampanye'
    """
    return _calm(" ".join(normalise(sentence).text.split()))


# Abbreviations that stay in capitals in a sentence of capitals: those of the field, which cased encoders know in this form alone.
_ABBREVIATIONS = frozenset(
    (
        "AD AL ASN AU BIN BKD BKN BKPSDM BPD BPK BPS BUMD BUMN CASN CPNS DIY DKI DKPP DPD DPR DPRD DPT HAM HUT IKN ITE KASN KIP KPK "
        "KPPS KPU KPUD KTP KUHAP KUHP LHKPN LKPP LSM MA MK MPR NIP NKRI NTB NTT OPD OTT PAN PBB PDIP PHK PKB PKD PKPU PKS PMII PNS POM "
        "PP PPDP PPK PPP PPPK PPS PSI PTPS PTUN RI RT RUU RW SD SDM SE SK SKB SKCK SKPD SMA SMK SMP TNI TPS UU UUD WA WIB WIT WITA "
    ).split()
)
_WORD = re.compile(r"[^\W\d_]{2,}")
# A sentence counts as shouted from this share of capitalised words on, of at least this many.
_SHOUTED_SHARE, _SHOUTED_WORDS = 0.8, 4


def _calm(text: str) -> str:
    """Write a sentence in capitals as sentences are written: encoders have hardly read capitals.

    Of the fifteen pairs in tests/behaviour/cases/invariance-case.yaml the default model labelled seven differently without this,
    none with it.
    """
    words = [word for word in _WORD.findall(text) if word not in _ABBREVIATIONS]
    if len(words) < _SHOUTED_WORDS or sum(word.isupper() for word in words) < _SHOUTED_SHARE * len(words):
        return text
    lower = _WORD.sub(lambda m: m[0] if m[0] in _ABBREVIATIONS or not m[0].isupper() else m[0].lower(), text)
    first = _WORD.search(lower)
    return lower if first is None else lower[: first.start()] + lower[first.start()].upper() + lower[first.start() + 1 :]
