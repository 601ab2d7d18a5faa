"""Builds the gazetteer from a corpus of laws: `python -m netral.citations.build_gazetteer CORPUS.jsonl.xz`.

Only facts are taken: type, number, year, title. They come from the heading of each law (`UNDANG-UNDANG ... NOMOR 5 TAHUN
2014 TENTANG ...`), from its path, and from the laws that it cites with their place in the State Gazette (`... tentang
Desa (Lembaran Negara ...`), where the title has a sure end.
"""

import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from netral.citations.gazetteer import FACTS
from netral.config import ReadSettings
from netral.errors import NetralError
from netral.io.readers import read_inputs
from netral.records import Article

_TYPES = {
    "peraturan pemerintah pengganti undang-undang": "perppu",
    "undang-undang darurat": "uu-darurat",
    "undang-undang": "uu",
    "peraturan pemerintah": "pp",
    "peraturan presiden": "perpres",
    "keputusan presiden": "keppres",
    "instruksi presiden": "inpres",
}
_NAME = "|".join(name.replace("-", r"\s?-\s?").replace(" ", r"\s+") for name in _TYPES)
_LAW = re.compile(
    rf"(?P<name>{_NAME})\s+(?:Republik\s+Indonesia\s+)?(?:Nomor|No\.?)\s*:?\s*(?P<number>\d{{1,3}})\s+Tahun\s+(?P<year>(?:19|20)\d\d)\s+tentang\s+"
    r"(?P<title>[^();:]{3,400}?)"
    r"\s*(?:(?P<gazette>\(?\s*Lembaran\s+Negara)|DENGAN\s+RAHMAT|PRESIDEN\s+REPUBLIK|Menimbang\b|MENIMBANG\b)",
    re.I,
)
# A title that holds one of these has swallowed the text behind it.
_SWALLOWED = re.compile(r"sebagaimana telah|termuat|[\]|\\#*<>\"”“]|Menimbang|\.\s|\d\.|dicabut|berlaku|\bayat\b|\bPasal\b", re.I)
# A law that so many others cite exists, even if no place gives its title: less than that may be a misprint.
_CITED = 3
_CITATION = re.compile(
    rf"(?P<name>{_NAME})\s+(?:Republik\s+Indonesia\s+)?Nomor\s+(?P<number>\d{{1,3}})\s+Tahun\s+(?P<year>(?:19|20)\d\d)", re.I
)
# Many crawls of law data bases keep type, year and number in the path of a file.
_PATH = re.compile(r"\b(?P<type>uu|pp|perppu|perpres|keppres|inpres)/(?P<year>\d{4})/(?P<number>\d{1,3})\.")
Key = tuple[str, int, str]
_SMALL = frozenset("dan di dari dengan dalam atas bagi untuk ke pada yang serta tentang menjadi oleh atau antara sebagai kepada".split())


def laws(articles: Iterable[Article]) -> list[tuple[str, int, str, str]]:
    """Return the laws that a corpus holds or cites, each with its most frequent title, ordered by type, year and number.

    The title is empty where no place gives it whole.

    >>> laws([Article("f", 1, "1", "Undang-Undang Nomor 6 Tahun 2014 tentang Desa (Lembaran Negara Tahun 2014 Nomor 7)")])
    [('uu', 2014, '6', 'Desa')]
    """
    titles: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    cited: Counter[Key] = Counter()
    for article in articles:
        path = _PATH.search(str(article.meta.get("source", "")))
        own = (path["type"], int(path["year"]), str(int(path["number"]))) if path else None
        if own:
            titles[own][""] += 0
        for match in _LAW.finditer(article.text):
            # A heading is read by OCR and may be wrong (`NOMOR 5` of 6); the path is not.
            if own in (None, _key(match)) or match["gazette"]:
                titles[_key(match)][_title(match["title"])] += 1
        cited.update({_key(match) for match in _CITATION.finditer(article.text)})
    for key, count in cited.items():
        if count >= _CITED:
            titles[key][""] += 0
    best = {key: max(sorted(filter(None, found)), key=lambda title: found[title], default="") for key, found in titles.items()}
    return [(*key, best[key]) for key in sorted(best, key=lambda key: (key[0], key[1], int(key[2])))]


def _key(match: re.Match[str]) -> Key:
    name = re.sub(r"\s?-\s?", "-", " ".join(match["name"].lower().split()))
    return _TYPES[name], int(match["year"]), str(int(match["number"]))


def _title(written: str) -> str:
    """Clean a title; one in capitals gets the usual case."""
    title = re.sub(r"(?<=\w)- (?=\w)", "-", " ".join(written.split())).strip(" ,.-")
    if _SWALLOWED.search(title):
        return ""
    if title.isupper():
        words = [word if word in _SMALL else "-".join(part.capitalize() for part in word.split("-")) for word in title.lower().split()]
        title = " ".join(words)
        title = title[:1].upper() + title[1:]
    return title


def main() -> None:
    """Read the corpora named on the command line and write the facts beside this file."""
    if len(sys.argv) < 2:
        raise NetralError("no corpus named", "python -m netral.citations.build_gazetteer CORPUS.jsonl.xz")
    rows = read_inputs(sys.argv[1:], ReadSettings(max_record_bytes=50_000_000))
    found = laws(row for row in rows if isinstance(row, Article))
    data = "".join(json.dumps(law, ensure_ascii=False, separators=(",", ":")) + "\n" for law in found).encode()
    # No time stamp in the header: the same corpus gives the same bytes.
    Path(__file__).with_name(FACTS).write_bytes(gzip.compress(data, 9, mtime=0))
    print(f"{len(found)} laws: {dict(Counter(law[0] for law in found))}", file=sys.stderr)


if __name__ == "__main__":
    main()
