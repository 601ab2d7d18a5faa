"""Labels files: reads, cleans, splits, scores and writes, counting every row."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from inference.predictor import DEFAULT_MODEL, Predictor
from netral.config import Config
from netral.errors import NetralError
from netral.io.columns import ReadReport
from netral.io.paths import STDIN, expand_inputs, refuse_existing, replacing_file, replacing_folder, shown
from netral.io.readers import Row, read_inputs
from netral.io.writers import OUTPUT_SCHEMA, JsonlWriter, ParquetWriter, RowWriter, output_row, reject_row, split_row
from netral.model_folder import open_model_folder
from netral.progress import Progress
from netral.provenance import RUN_FILE, file_digest, fingerprint, is_current, libraries, write_json
from netral.records import Article, Drop, Reject, Sentence
from netral.text import TextStage, no_sentences

# Rows of one Parquet part of a folder output.
_PART_ROWS = 100_000


@dataclass(slots=True)
class Summary:
    """What a job read, wrote and left out."""

    articles: int = 0
    sentence_rows: int = 0
    sentences: int = 0
    truncated: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    first_rejects: list[Reject] = field(default_factory=list)
    read: ReadReport = field(default_factory=ReadReport)

    def counts(self) -> dict[str, Any]:
        """Return the counts as they stand in the summary file."""
        return {
            "rows_in": self.articles + self.sentence_rows + sum(self.rejects.values()),
            "articles": self.articles,
            "sentence_rows": self.sentence_rows,
            "sentences_out": self.sentences,
            "truncated": self.truncated,
            "labels": dict(sorted(self.labels.items())),
            "rejects": dict(sorted(self.rejects.items())),
            "dropped_by_cleaning": dict(sorted(self.dropped.items())),
            **self.read.counts(),
        }


class _Outputs:
    """Opens the output files of a job beside their final names; they appear at the end, when all went well."""

    def __init__(self, out: str, labels: Sequence[str], rejects: str | None, stack: ExitStack) -> None:
        self._out, self._labels, self._stack = out, labels, stack
        self._rows = 0
        self._folder = stack.enter_context(replacing_folder(Path(out))) if is_folder(out) else None
        reject_path, summary_path = sidecars(out, rejects)
        self._summary = self._place(summary_path)
        self._rejects = JsonlWriter(self._place(reject_path) or Path()) if reject_path else None
        self._writer = self._open(0)

    def _place(self, path: Path | None) -> Path | None:
        """Return where to write what shall end up at ``path``: in the new folder, or beside it."""
        if path is None:
            return None
        if self._folder is not None and path.parent == Path(self._out):
            return self._folder / path.name
        return self._stack.enter_context(replacing_file(path))

    def _open(self, part: int) -> RowWriter:
        if self._out == STDIN:
            return JsonlWriter(STDIN)
        if self._folder is not None:
            return ParquetWriter(self._folder / f"part-{part:05d}.parquet", self._labels)
        beside = self._stack.enter_context(replacing_file(Path(self._out)))
        return ParquetWriter(beside, self._labels) if self._out.endswith(".parquet") else JsonlWriter(beside)

    def write(self, row: dict[str, Any]) -> None:
        if self._folder is not None and self._rows and self._rows % _PART_ROWS == 0:
            self._writer.close()
            self._writer = self._open(self._rows // _PART_ROWS)
        self._writer.write(row)
        self._rows += 1

    def reject(self, reject: Reject) -> None:
        if self._rejects is not None:
            self._rejects.write(reject_row(reject))
        else:
            print(f"rejected {reject.file}:{reject.row}: {reject.reason}: {reject.detail}", file=sys.stderr)

    def flush(self) -> None:
        """Let a reader of standard output have the rows written so far."""
        if self._out == STDIN:
            sys.stdout.flush()

    def close(self, summary: dict[str, Any]) -> None:
        self._writer.close()
        if self._rejects is not None:
            self._rejects.close()
        if self._summary is not None:
            write_json(self._summary, summary)


def is_folder(out: str) -> bool:
    """Tell whether an output name means a folder of Parquet parts.

    Raises:
        NetralError: The name has a suffix that is no output format.
    """
    path = Path(out)
    if out == STDIN or path.suffix in (".jsonl", ".parquet"):
        return out != STDIN and (out.endswith("/") or path.is_dir())
    if path.suffix and not out.endswith("/") and not path.is_dir():
        raise NetralError(
            f"{out}: not an output format", "name it OUT.jsonl, OUT.parquet, a folder with / at the end, or - for standard output"
        )
    return True


def sidecars(out: str, rejects: str | None = None) -> tuple[Path | None, Path | None]:
    """Return where rejects and summary go; None where standard output has no place for them."""
    path = Path(out)
    own = Path(rejects) if rejects else None
    if out == STDIN:
        return own, None
    if is_folder(out):
        return own or path / "rejects.jsonl", path / RUN_FILE
    return own or path.with_name(path.name + ".rejects.jsonl"), path.with_name(path.name + ".summary.json")


def label(
    inputs: Sequence[str],
    out: str,
    config: Config,
    *,
    model: Path | None = None,
    backend: str = "auto",
    device: str = "auto",
    rejects: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Label every sentence of the inputs and return the summary; does nothing if the output is there and up to date.

    Raises:
        NetralError: Nothing usable in the inputs, the model is bad, or the output exists.
    """
    folder = open_model_folder(model or DEFAULT_MODEL)
    settings = {
        "read": config.read.model_dump(),
        "model": folder.fingerprint,
        "backend": backend,
        "device": device,
        "schema": OUTPUT_SCHEMA,
    }
    wanted = _check(inputs, out, "label", settings, [rejects], overwrite)
    if wanted.done:
        return {"unchanged": True}
    predictor = Predictor(folder.path, backend=backend, device=device, batch_tokens=config.label.batch_tokens, window=config.label.window)
    stage = TextStage(folder.serving.text)
    begun = time.monotonic()
    summary = Summary()
    with ExitStack() as stack:
        outputs = _Outputs(out, folder.labels, rejects, stack)
        progress = stack.enter_context(Progress("label", "sentences"))
        sentences = _sentences(read_inputs(inputs, config.read, exclude=_path(out), report=summary.read), stage, summary, outputs)
        for window in _windows(sentences, config.label.window):
            for sentence, prediction in zip(window, predictor.predict([s.text for s in window]), strict=True):
                summary.sentences += 1
                summary.truncated += prediction.truncated
                summary.labels.update(prediction.labels)
                outputs.write(output_row(sentence, prediction, folder.fingerprint))
            outputs.flush()
            progress.advance(len(window))
        _refuse_nothing(summary, inputs)
        found = _finished("label", wanted, settings, summary, begun) | {"backend": predictor.backend}
        outputs.close(found)
    return found


def split(
    inputs: Sequence[str], out: str, config: Config, *, dropped: str | None = None, rejects: str | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Clean and split the inputs without a model; ``dropped`` names a file for what cleaning took out.

    Raises:
        NetralError: Nothing usable in the inputs, or the output exists.
    """
    if out != STDIN and not out.endswith(".jsonl"):
        raise NetralError(f"{out}: split writes JSON lines", "name the output OUT.jsonl, or - for standard output")
    settings = {"read": config.read.model_dump(), "text": config.text.model_dump(), "schema": OUTPUT_SCHEMA}
    wanted = _check(inputs, out, "split", settings, [rejects, dropped], overwrite)
    if wanted.done:
        return {"unchanged": True}
    begun = time.monotonic()
    summary = Summary()
    with ExitStack() as stack:
        outputs = _Outputs(out, (), rejects, stack)
        drops = stack.enter_context(JsonlWriter(stack.enter_context(replacing_file(Path(dropped))))) if dropped else None
        progress = stack.enter_context(Progress("split", "sentences"))
        rows = read_inputs(inputs, config.read, exclude=_path(out), report=summary.read)
        for sentence in _sentences(rows, TextStage(config.text), summary, outputs, drops):
            summary.sentences += 1
            outputs.write(split_row(sentence))
            progress.advance(1)
        _refuse_nothing(summary, inputs)
        found = _finished("split", wanted, settings, summary, begun)
        outputs.close(found)
    return found


@dataclass(frozen=True, slots=True)
class _Wanted:
    fingerprint: str
    sources: dict[str, str]
    done: bool


def _path(out: str) -> Path | None:
    return None if out == STDIN else Path(out)


def _check(inputs: Sequence[str], out: str, stage: str, settings: dict[str, Any], extra: Sequence[str | None], overwrite: bool) -> _Wanted:
    """Look for an output that is up to date, and refuse one that is not.

    ``extra`` are the files that the user named for rejects or drops.
    """
    if STDIN in inputs and list(inputs) != [STDIN]:
        raise NetralError("-: standard input cannot be mixed with files", "pass - alone")
    paths = [] if list(inputs) == [STDIN] else expand_inputs(inputs, exclude=_path(out))
    digests = [file_digest(path) for path in paths]
    sources = dict(zip(map(shown, paths), digests, strict=True))
    # The order counts because ids of files with one name depend on it, the name because every row carries it as its provenance.
    names = [(f"{i}:{shown(path)}", digest) for i, (path, digest) in enumerate(zip(paths, digests, strict=True))]
    wanted = fingerprint(stage, settings, names)
    named = [Path(name) for name in extra if name]
    targets = [path.resolve() for path in (*named, *([] if out == STDIN else [Path(out)]))]
    if len(set(targets)) < len(targets) or set(targets) & {path.resolve() for path in paths}:
        raise NetralError(
            f"{', '.join(map(str, extra))}, {out}: two outputs, or an output and an input, are one file", "name different files"
        )
    summary = None if out == STDIN else sidecars(out)[1]
    present = Path(out).exists() and all(path.exists() for path in named)
    if sources and summary is not None and present and is_current(summary, wanted):
        return _Wanted(wanted, sources, True)
    for path in (*named, *([] if out == STDIN else [Path(out)])):
        refuse_existing(path, overwrite)
    if summary is not None and summary.parent != Path(out):
        summary.unlink(missing_ok=True)  # it tells of an output that is about to be replaced
    return _Wanted(wanted, sources, False)


def _windows(sentences: Iterable[Sentence], size: int) -> Iterator[list[Sentence]]:
    iterator = iter(sentences)
    while window := list(islice(iterator, size)):
        yield window


def _sentences(
    rows: Iterable[Row], stage: TextStage, summary: Summary, outputs: _Outputs, drops: JsonlWriter | None = None
) -> Iterator[Sentence]:
    """Yield the sentences of all rows; rejects go to their file, and everything is counted."""
    for row in rows:
        if isinstance(row, Reject):
            _reject(row, summary, outputs)
        elif isinstance(row, Sentence):
            summary.sentence_rows += 1
            yield row
        else:
            yield from _article_sentences(row, stage, summary, outputs, drops)


def _article_sentences(
    article: Article, stage: TextStage, summary: Summary, outputs: _Outputs, drops: JsonlWriter | None
) -> Iterator[Sentence]:
    text = stage.run(article)
    summary.dropped.update(drop.rule for drop in text.drops)
    for drop in text.drops if drops else ():
        if drops:
            drops.write(_drop_row(article, drop))
    if not text.sentences:
        _reject(no_sentences(article, text.drops), summary, outputs)
        return
    summary.articles += 1
    yield from text.sentences


def _drop_row(article: Article, drop: Drop) -> dict[str, Any]:
    return {"article_id": article.id, "start": drop.start, "end": drop.end, "rule": drop.rule, "text": drop.text}


def _reject(reject: Reject, summary: Summary, outputs: _Outputs) -> None:
    summary.rejects[reject.reason] += 1
    if len(summary.first_rejects) < 3:
        summary.first_rejects.append(reject)
    outputs.reject(reject)


def _refuse_nothing(summary: Summary, inputs: Sequence[str]) -> None:
    if summary.sentences:
        return
    lines = [f"{r.file}{f':{r.row}' if r.row else ''}: {r.reason}: {r.detail}" for r in summary.first_rejects]
    raise NetralError(
        "\n".join(lines) or f"{', '.join(inputs)}: no row at all",
        "nothing could be used, so nothing was written; correct the input (one article a .txt, or JSON lines with `text` or `sentence`)",
    )


def _finished(stage: str, wanted: _Wanted, settings: dict[str, Any], summary: Summary, begun: float) -> dict[str, Any]:
    seconds = time.monotonic() - begun
    return {
        "stage": stage,
        "fingerprint": wanted.fingerprint,
        "settings": settings,
        "inputs": wanted.sources,
        "counts": summary.counts(),
        "seconds": round(seconds, 2),
        "sentences_per_second": round(summary.sentences / max(seconds, 1e-9), 1),
        "libraries": libraries(),
    }
