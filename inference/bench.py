"""Measures what the documentation claims, each figure beside a named peer in the same run: `make bench`.

Needs a checkout (gold corpus, splitter stress set); rows that need ../shared are left out, with a word, where it is absent.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from inference.predictor import DEFAULT_MODEL, Predictor
from netral.citations import find_citations, may_cite
from netral.config import TextSettings
from netral.labels import LABELS
from netral.records import Article
from netral.tables import print_table
from netral.text import TextStage, model_text
from netral.text.split import Splitter

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
_RUNS = 5
Spans = set[tuple[int, int]]
Split = Callable[[str], list[str]]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _timed(work: Callable[[], object]) -> float:
    """Return the median seconds of five runs after one that is not counted."""
    work()
    seconds = []
    for _ in range(_RUNS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return median(seconds)


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


def splitter_table() -> list[list[str]]:
    """Compare splitters: F1 of exact sentences on the stress set, of boundaries and exact sentences on UD PUD, and speed."""
    stress = _rows(ROOT / "tests" / "data" / "split_stress.jsonl")
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
        cells.append(f"{len(body.encode()) / 1e6 / _timed(partial(split, body)):.1f}")
        table.append(cells)
    return table


def text_table() -> list[list[str]]:
    """Measure the whole text stage on the articles of the gold corpus."""
    articles = [Article("gold", 1, str(r["id"]), str(r["text"]), str(r["title"])) for r in _rows(ROOT / "data" / "gold" / "articles.jsonl")]
    stage = TextStage(TextSettings())
    size = sum(len(article.text.encode()) for article in articles) / 1e6
    seconds = _timed(lambda: [stage.run(article) for article in articles])
    return [
        ["text stage (clean, split, offsets)", "MB/s", "articles/s"],
        ["netral", f"{size / seconds:.1f}", f"{len(articles) / seconds:.0f}"],
    ]


def _cite_all(sentences: list[str]) -> None:
    for sentence in sentences:
        find_citations(sentence)


def citation_table() -> list[list[str]]:
    """Measure the citation parser on sentences with and without a word that can begin a citation."""
    sentences = [str(row["sentence"]) for row in _rows(ROOT / "data" / "gold" / "labels.jsonl")]
    groups = {"without a trigger word": [s for s in sentences if not may_cite(s)], "with one": [s for s in sentences if may_cite(s)]}
    table = [["citations, one core: sentences", "number", "sentences/s"]]
    for name, group in groups.items():
        seconds = _timed(partial(_cite_all, group))
        table.append([name, str(len(group)), f"{len(group) / seconds:.0f}"])
    return table


def plain_pipeline(folder: Path) -> Any:
    """Load a model folder the way that plain transformers does, without netral."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype="float32")
    return pipeline(
        "text-classification",
        model=model,
        tokenizer=AutoTokenizer.from_pretrained(folder),
        top_k=None,
        function_to_apply="sigmoid",
        truncation=True,
    )


def model_table(sentences: list[str]) -> list[list[str]]:
    """Compare the Predictor with transformers' pipeline on the same sentences."""
    peer = plain_pipeline(DEFAULT_MODEL)
    texts = [model_text(s) for s in sentences]
    ours = Predictor(batch_tokens=4096)
    systems: dict[str, Callable[[], object]] = {
        f"transformers pipeline, batch size {n}": partial(peer, texts, batch_size=n) for n in (1, 32)
    }
    systems["netral Predictor, torch fp32"] = partial(ours.predict, sentences)
    rates = {name: len(sentences) / _timed(work) for name, work in systems.items()}
    base = next(iter(rates.values()))
    return [["default model", "sentences/s", "ratio"], *([name, f"{rate:.0f}", f"{rate / base:.1f}"] for name, rate in rates.items())]


def noise_table(sentences: list[str]) -> list[list[str]]:
    """Measure how far the same sentence's logits differ between batches, which LOGIT_NOISE must exceed."""
    predictor = Predictor()
    reference = None
    largest = 0.0
    for tokens, order in product((1, 512, 4096, 16384), (1, -1)):
        predictor._batch_tokens = tokens
        logits = predictor.logits(sentences[::order])[::order]
        reference = logits if reference is None else reference
        largest = max(largest, float(np.abs(logits - reference).max()))
    return [["largest difference of a logit between batches", "sentences"], [f"{largest:.1e}", str(len(sentences))]]


def real_table() -> list[list[str]]:
    """Score the default model on real news sentences that no one here wrote."""
    rows = _rows(SHARED / "real" / "dev.jsonl")
    found = Predictor().predict([str(row["sentence"]) for row in rows])
    table = [["real sentences", "support", "precision", "recall", "F1"]]
    for label in LABELS:
        gold = np.array([label in row["labels"] for row in rows])
        given = np.array([label in p.labels for p in found])
        hits = int((gold & given).sum())
        precision, recall = hits / max(given.sum(), 1), hits / max(gold.sum(), 1)
        f1 = 2 * hits / max(gold.sum() + given.sum(), 1)
        table.append([label, str(gold.sum()), f"{precision:.2f}", f"{recall:.2f}", f"{f1:.2f}"])
    empty = [not p.labels for row, p in zip(rows, found, strict=True) if not row["labels"]]
    return [*table, ["empty ones that stay empty", str(len(empty)), "", f"{sum(empty) / len(empty):.3f}", ""]]


def main() -> None:
    """Run everything and print the tables."""
    sentences = [str(row["sentence"]) for row in _rows(ROOT / "data" / "gold" / "labels.jsonl")][:512]
    print_table(splitter_table(), stderr=False)
    print_table(text_table(), stderr=False)
    print_table(citation_table(), stderr=False)
    print_table(model_table(sentences), stderr=False)
    print_table(noise_table(sentences), stderr=False)
    if (SHARED / "real").is_dir():
        print_table(real_table(), stderr=False)


if __name__ == "__main__":
    main()
