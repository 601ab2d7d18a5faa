"""Splitter, text stage and citation parser, beside their peers."""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from inference.bench.common import GOLD, ROOT, SHARED, Table, read_rows, timed
from netral.citations import find_citations, may_cite
from netral.config import TextSettings
from netral.records import Article
from netral.text import TextStage
from netral.text.split import Splitter

_RUNS = 5
Spans = set[tuple[int, int]]
Split = Callable[[str], list[str]]


def sentence_spans(sentences: Iterable[str]) -> Spans:
    """Return the span of each sentence counted without white space, so that the spaces between sentences do not matter."""
    out, position = set(), 0
    for sentence in sentences:
        length = len(re.sub(r"\s", "", sentence))
        out.add((position, position + length))
        position += length
    return out


def _f1(gold: Sequence[set[Any]], found: Sequence[set[Any]]) -> float:
    hits = sum(len(g & f) for g, f in zip(gold, found, strict=True))
    return 2 * hits / (sum(map(len, gold)) + sum(map(len, found)))


def _splitters() -> dict[str, Split]:
    found: dict[str, Split] = {"netral": Splitter().sentences}
    try:
        from syntok import segmenter

        found["syntok"] = lambda text: ["".join(t.spacing + t.value for t in s) for p in segmenter.analyze(text) for s in p]
        import sentencex

        found["sentencex"] = lambda text: list(sentencex.segment("id", text))
    except ImportError:
        print("syntok and sentencex are not installed: pip install -e '.[bench]'", file=sys.stderr)
    return found


def splitter_table() -> Table:
    """Compare splitters: F1 of exact sentences on the stress set, of boundaries and exact sentences on UD PUD, and speed."""
    stress = read_rows(ROOT / "tests" / "data" / "split_stress.jsonl")
    texts = [str(row["glue"]).join(row["sentences"]) for row in stress]
    pud_path = SHARED / "ud" / "UD_Indonesian-PUD.id_pud-ud-test.conllu"
    pud = (
        [x[9:].strip() for x in pud_path.read_text(encoding="utf-8").splitlines() if x.startswith("# text = ")] if pud_path.exists() else []
    )
    table = [["splitter", "stress set: sentence F1", "UD PUD: boundary F1", "UD PUD: sentence F1", "MB/s"]]
    for name, split in _splitters().items():
        gold = [sentence_spans(row["sentences"]) for row in stress]
        cells = [name, f"{_f1(gold, [sentence_spans(split(t)) for t in texts]):.3f}"]
        if pud:
            want, have = sentence_spans(pud), sentence_spans(split(" ".join(pud)))
            cells += [f"{_f1([{e for _, e in want}], [{e for _, e in have}]):.3f}", f"{_f1([want], [have]):.3f}"]
        else:
            cells += ["no ../shared"] * 2
        body = "\n".join(texts)
        cells.append(f"{len(body.encode()) / 1e6 / timed(partial(split, body), _RUNS):.1f}")
        table.append(cells)
    return table


def text_table() -> Table:
    """Measure the whole text stage on the articles of the gold corpus."""
    articles = [Article("gold", 1, str(r["id"]), str(r["text"]), str(r["title"])) for r in read_rows(GOLD / "articles.jsonl")]
    stage = TextStage(TextSettings())
    size = sum(len(article.text.encode()) for article in articles) / 1e6
    seconds = timed(lambda: [stage.run(article) for article in articles], _RUNS)
    return [
        ["text stage (clean, split, offsets)", "MB/s", "articles/s"],
        ["netral", f"{size / seconds:.1f}", f"{len(articles) / seconds:.0f}"],
    ]


def _cite_all(sentences: list[str]) -> None:
    for sentence in sentences:
        find_citations(sentence)


def citation_table() -> Table:
    """Measure the citation parser on sentences with and without a word that can begin a citation."""
    sentences = [str(row["sentence"]) for row in read_rows(GOLD / "labels.jsonl")]
    groups = {"without a trigger word": [s for s in sentences if not may_cite(s)], "with one": [s for s in sentences if may_cite(s)]}
    table = [["citations, one core: sentences", "number", "sentences/s"]]
    for name, group in groups.items():
        seconds = timed(partial(_cite_all, group), _RUNS)
        table.append([name, str(len(group)), f"{len(group) / seconds:.0f}"])
    return table
