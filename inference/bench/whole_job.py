"""The whole job, `netral label`: articles a second, what each stage takes, and whether time and memory grow with the input."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from tokenizers import Tokenizer

from inference.bench.child import Run, netral
from inference.bench.common import GOLD, Table, news_articles, read_rows
from inference.predictor import Predictor
from netral.config import ReadSettings
from netral.io.readers import read_inputs
from netral.io.writers import JsonlWriter, output_row
from netral.model_folder import open_model_folder
from netral.records import Article, Sentence
from netral.text import TextStage, model_text

_WORD = re.compile(r"(?<= )[a-z]{5,9}(?= )")
_STAGES = ("read", "clean and split", "tokenise", "score", "write")
_Result = TypeVar("_Result")


def gold_articles() -> Iterator[dict[str, str]]:
    """Yield the gold articles again and again, each time with another word in every sentence, so that none is scored twice.

    The word takes the place of one of the sentence's own, which keeps the distribution of lengths.
    """
    articles = read_rows(GOLD / "articles.jsonl")
    spans: dict[str, list[tuple[int, int]]] = {}
    for row in read_rows(GOLD / "labels.jsonl"):
        spans.setdefault(str(row["article_id"]), []).append((int(row["start"]), int(row["end"])))
    words = sorted({word for article in articles for word in _WORD.findall(str(article["text"]))})
    for number, word in enumerate(words):
        for article in articles:
            text = str(article["text"])
            for start, end in sorted(spans.get(str(article["id"]), []), reverse=True):
                found = _WORD.search(text, start, end)
                if found:
                    text = text[: found.start()] + word + text[found.end() :]
            yield {"id": f"{article['id']}-{number}", "title": str(article["title"]), "text": text}


def _write(path: Path, articles: Iterable[dict[str, str]]) -> tuple[int, float]:
    """Write articles as JSON lines; return their number and the megabytes of their text."""
    count, size = 0, 0
    with path.open("w", encoding="utf-8") as stream:
        for article in articles:
            stream.write(json.dumps(article, ensure_ascii=False) + "\n")
            count, size = count + 1, size + len(article["text"].encode())
    return count, size / 1e6


class _Jobs:
    """Runs `netral label` with one model and backend; knows how long a job of next to no work takes."""

    def __init__(self, work: Path, model: Path, backend: str, rounds: int) -> None:
        self._work, self._model, self._backend, self._rounds = work, model, backend, rounds
        one = work / "one.jsonl"
        _write(one, islice(gold_articles(), 1))
        self._label(one)  # not counted: `--backend auto` times its candidates at first use and remembers
        self.start = self.seconds_and_peak(one)[0]

    def seconds_and_peak(self, articles: Path) -> tuple[float, float]:
        """Return the median seconds of a job on these articles, start included, and its largest memory in MiB."""
        runs = [self._label(articles) for _ in range(self._rounds)]
        return median(run.seconds for run in runs), max(run.peak_mib for run in runs)

    def _label(self, articles: Path) -> Run:
        options = ("--out", str(self._work / "labelled.jsonl"), "--overwrite", "--backend", self._backend, "--model", str(self._model))
        (self._work / "labelled.jsonl").unlink(missing_ok=True)  # a job whose output is up to date does nothing
        return netral("label", str(articles), *options, XDG_CACHE_HOME=str(self._work))


def job_table(work: Path, model: Path, counts: Iterable[int], rounds: int) -> Table:
    """Run the job on gold and crawled articles with the fastest backend that the model folder has."""
    jobs = _Jobs(work, model, "auto", rounds)
    table = [["netral label, fastest backend", "articles", "seconds", "of them start", "articles/s", "MB/s", "peak memory MiB"]]
    for count in counts:
        for name, articles in _inputs(count):
            path = work / "articles.jsonl"
            number, size = _write(path, articles)
            if number:
                seconds, peak = jobs.seconds_and_peak(path)
                rates = [f"{number / seconds:.1f}", f"{size / seconds:.3f}"]
                table.append([name, str(number), f"{seconds:.1f}", f"{jobs.start:.1f}", *rates, f"{peak:.0f}"])
    return table


def _inputs(count: int) -> list[tuple[str, Iterable[dict[str, str]]]]:
    return [("gold articles, varied", islice(gold_articles(), count)), ("crawled news", news_articles(count))]


def scale_table(work: Path, model: Path, counts: Iterable[int], rounds: int, backend: str) -> Table:
    """Run the job on more and more articles; time per article and memory shall stay the same."""
    jobs = _Jobs(work, model, backend, rounds)
    table = [
        [f"netral label, backend {backend}: articles", "seconds without start", "ms an article", "against the first", "peak memory MiB"]
    ]
    first = 0.0
    for count in counts:
        path = work / "articles.jsonl"
        number, _ = _write(path, islice(gold_articles(), count))
        seconds, peak = jobs.seconds_and_peak(path)
        each = 1000 * (seconds - jobs.start) / number
        first = first or each
        table.append([f"{number:,}", f"{seconds - jobs.start:.1f}", f"{each:.2f}", f"{each / first:.2f}", f"{peak:.0f}"])
    return table


def stage_table(work: Path, model: Path, count: int) -> Table:
    """Run the stages of the job one after another over the same articles, each timed alone."""
    table = [["stages one after another", "articles", *(f"{stage}, share" for stage in _STAGES), "seconds"]]
    with Predictor(model) as predictor:
        for name, articles in _inputs(count):
            path = work / "articles.jsonl"
            number, _ = _write(path, articles)
            if not number:
                continue
            seconds = _stage_seconds(path, predictor)
            whole = sum(seconds)
            table.append([name, str(number), *(f"{each / whole:.1%}" for each in seconds), f"{whole:.1f}"])
    return table


def _stage_seconds(path: Path, predictor: Predictor) -> list[float]:
    stage = TextStage(open_model_folder(predictor.folder.path).serving.text)
    tokenizer = Tokenizer.from_file(str(predictor.folder.path / "tokenizer.json"))
    predictor.predict(["Kalimat pertama."])  # loads what is loaded late
    reading, rows = _clocked(lambda: list(read_inputs([str(path)], ReadSettings())))
    splitting, sentences = _clocked(lambda: [s for row in rows if isinstance(row, Article) for s in stage.run(row).sentences])
    tokenising, _ = _clocked(lambda: tokenizer.encode_batch([model_text(s.text) for s in sentences]))
    predicting, found = _clocked(lambda: predictor.predict([s.text for s in sentences]))
    writing, _ = _clocked(lambda: _write_rows(path.with_suffix(".out"), sentences, found))
    # The Predictor tokenises too, beside the scoring where a second core is free.
    return [reading, splitting, tokenising, max(0.0, predicting - tokenising), writing]


def _clocked(work: Callable[[], _Result]) -> tuple[float, _Result]:
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


def _write_rows(path: Path, sentences: list[Sentence], predictions: list[Any]) -> None:
    with JsonlWriter(path) as writer:
        for sentence, prediction in zip(sentences, predictions, strict=True):
            writer.write(output_row(sentence, prediction, "model"))
