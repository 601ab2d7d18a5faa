"""Labels or splits into one file or standard output, in this process; folders are inference/jobs/folder.py."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.jobs.folder import label_folder, nothing_usable
from inference.jobs.inputs import Inputs
from inference.jobs.locks import Slice
from inference.jobs.rollup import check_level, to_rows
from inference.jobs.rows import Tally, in_use, scoring_stats, to_labels, to_sentences
from inference.jobs.shards import REJECTS, SUMMARY
from inference.predictor import DEFAULT_MODEL, Predictor
from netral.config import Config
from netral.errors import NetralError
from netral.io.columns import ReadReport
from netral.io.paths import STDIN, expand_inputs, refuse_existing, replacing_file, shown
from netral.io.readers import Row, read_files, read_inputs
from netral.io.writers import OUTPUT_SCHEMA, SENTENCE, JsonlWriter, ParquetWriter, RowWriter, reject_line, reject_row, split_row
from netral.model_folder import open_model_folder
from netral.progress import Progress, say
from netral.provenance import fingerprint, is_current, libraries, write_json
from netral.records import Article, Drop, Reject
from netral.text import TextStage

# Rows after which a reader of standard output gets what is there.
_FLUSH_ROWS = 100


class Outputs:
    """Opens the output files of a job beside their final names; they appear at the end, when all went well."""

    def __init__(self, out: str, labels: Sequence[str], rejects: str | None, stack: ExitStack, level: str = SENTENCE) -> None:
        """Open them; leaving the stack renames them, or removes them after an error."""
        self._out = out
        reject_path, summary_path = sidecars(out, rejects)
        self._summary = stack.enter_context(replacing_file(summary_path)) if summary_path else None
        self._rejects = JsonlWriter(stack.enter_context(replacing_file(reject_path))) if reject_path else None
        beside = STDIN if out == STDIN else stack.enter_context(replacing_file(Path(out)))
        self._writer: RowWriter = ParquetWriter(Path(beside), labels, level) if out.endswith(".parquet") else JsonlWriter(beside)
        self.first_rejects: list[Reject] = []

    def write(self, row: dict[str, Any]) -> None:
        """Add one row."""
        self._writer.write(row)

    def reject(self, reject: Reject) -> None:
        """Add one rejected row."""
        if len(self.first_rejects) < 3:
            self.first_rejects.append(reject)
        if self._rejects is not None:
            self._rejects.write(reject_row(reject))
        else:
            say(f"rejected {reject_line(reject)}", level="warning", **reject_row(reject))

    def flush(self) -> None:
        """Let a reader of standard output have the rows written so far."""
        if self._out == STDIN:
            sys.stdout.flush()

    def close(self, summary: dict[str, Any]) -> None:
        """Finish all files, the summary among them."""
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
        return path / REJECTS, path / SUMMARY
    return own or path.with_name(path.name + ".rejects.jsonl"), path.with_name(path.name + ".summary.json")


def label(
    inputs: Sequence[str],
    out: str,
    config: Config,
    *,
    model: Path | None = None,
    backend: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    level: str = SENTENCE,
    cache: Path | None = None,
    rejects: str | None = None,
    workers: int | None = None,
    part: Slice | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Label every sentence of the inputs and return the summary; does nothing if the output is there and up to date.

    ``level`` is what a row of the output is, ``sentence`` or ``article``.
    ``workers`` and ``part`` are for an output folder, see :func:`inference.jobs.folder.label_folder`; ``rejects`` is for the others.

    Raises:
        NetralError: Nothing usable in the inputs, the model is bad, or the output exists.
    """
    check_level(level)
    scoring: dict[str, Any] = {"backend": backend, "precision": precision, "device": device}
    if is_folder(out):
        if rejects:
            raise NetralError(f"--rejects {rejects}: a folder has its rejects in it", f"leave it out and find them in {out}")
        given: dict[str, Any] = {"workers": workers, "part": part, "overwrite": overwrite, "cache": cache, "level": level}
        return label_folder(inputs, Path(out), config, model=model, **scoring, **given)
    if workers or part:
        raise NetralError("--workers and --shard: only for an output folder", "name the output with / at the end")
    folder = open_model_folder(model or DEFAULT_MODEL)
    settings = {"read": config.read.model_dump(), "model": folder.fingerprint, **scoring, "level": level, "schema": OUTPUT_SCHEMA}
    wanted = check(inputs, out, "label", settings, [rejects], overwrite)
    if wanted.done:
        return {"unchanged": True, **wanted.done}
    begun, tally = time.monotonic(), Tally()
    sizes: dict[str, Any] = {"batch_tokens": config.label.batch_tokens, "window": config.label.window}
    with ExitStack() as stack:
        predictor = stack.enter_context(Predictor(folder.path, **scoring, **sizes, cache=cache))
        outputs = Outputs(out, folder.labels, rejects, stack, level)
        progress = stack.enter_context(Progress("label", "sentences", total_bytes=wanted.inputs.plain_bytes()))
        read = BytesRead()
        rows = tally.timed_rows(open_rows(inputs, wanted, config, tally.read, read))
        items = to_sentences(rows, TextStage(folder.serving.text), tally)
        done = 0
        found_rows = to_rows(to_labels(items, predictor, tally), level, folder.labels, folder.fingerprint, tally)
        for count, found_row in enumerate(found_rows, 1):
            with tally.timed("write"):
                if isinstance(found_row, Reject):
                    outputs.reject(found_row)
                else:
                    outputs.write(found_row)
            if count % _FLUSH_ROWS == 0:
                outputs.flush()
            progress.advance(tally.sentences - done, read.taken())
            done = tally.sentences
        outputs.flush()
        refuse_nothing(tally, outputs, inputs)
        wanted.inputs.check()
        found = {
            **finished("label", wanted, settings, tally, begun),
            "model": {"fingerprint": folder.fingerprint, "decision": folder.decision_digest()},
            **in_use(predictor),
            "scoring": scoring_stats(predictor),
            "citations": tally.cited(),
        }
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
    wanted = check(inputs, out, "split", settings, [rejects, dropped], overwrite)
    if wanted.done:
        return {"unchanged": True, **wanted.done}
    begun, tally = time.monotonic(), Tally()
    with ExitStack() as stack:
        outputs = Outputs(out, (), rejects, stack)
        drops = stack.enter_context(JsonlWriter(stack.enter_context(replacing_file(Path(dropped))))) if dropped else None
        progress = stack.enter_context(Progress("split", "sentences", total_bytes=wanted.inputs.plain_bytes()))
        read = BytesRead()
        rows = tally.timed_rows(open_rows(inputs, wanted, config, tally.read, read))
        write_drop = (lambda article, drop: drops.write(_drop_row(article, drop))) if drops else None
        for item in to_sentences(rows, TextStage(config.text), tally, write_drop):
            if isinstance(item, Reject):
                tally.rejects[item.reason] += 1
                outputs.reject(item)
            else:
                tally.sentences += 1
                outputs.write(split_row(item))
            progress.advance(1, read.taken())
        refuse_nothing(tally, outputs, inputs)
        wanted.inputs.check()
        found = finished("split", wanted, settings, tally, begun)
        outputs.close(found)
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made, and the summary of an earlier run that has made it."""

    fingerprint: str
    inputs: Inputs
    done: dict[str, Any] | None = None


class BytesRead:
    """Counts what has been read since it was last asked."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._bytes = 0

    def add(self, size: int) -> None:
        """Count bytes that were read."""
        self._bytes += size

    def taken(self) -> int:
        """Return the count and start again."""
        size, self._bytes = self._bytes, 0
        return size


def _path(out: str) -> Path | None:
    return None if out == STDIN else Path(out)


def check(inputs: Sequence[str], out: str, stage: str, settings: dict[str, Any], extra: Sequence[str | None], overwrite: bool) -> Wanted:
    """Look for an output that is up to date, and refuse one that is not.

    ``extra`` are the files that the user named for rejects or drops.
    """
    if STDIN in inputs and list(inputs) != [STDIN]:
        raise NetralError("-: standard input cannot be mixed with files", "pass - alone")
    paths = [] if list(inputs) == [STDIN] else expand_inputs(inputs, exclude=_path(out))
    sources = Inputs(paths)
    # The order counts because ids of files with one name depend on it, the name because every row carries it as its provenance.
    names = [(f"{i}:{shown(path)}", each["sha256"]) for i, (path, each) in enumerate(zip(paths, sources.listed(), strict=True))]
    wanted = fingerprint(stage, settings, names)
    named = [Path(name) for name in extra if name]
    targets = [path.resolve() for path in (*named, *([] if out == STDIN else [Path(out)]))]
    if len(set(targets)) < len(targets) or set(targets) & {path.resolve() for path in paths}:
        raise NetralError(
            f"{', '.join(map(str, extra))}, {out}: two outputs, or an output and an input, are one file", "name different files"
        )
    summary = None if out == STDIN else sidecars(out)[1]
    present = Path(out).exists() and all(path.exists() for path in named)
    if paths and summary is not None and present and is_current(summary, wanted):
        return Wanted(wanted, sources, json.loads(summary.read_text(encoding="utf-8")))
    for path in (*named, *([] if out == STDIN else [Path(out)])):
        refuse_existing(path, overwrite)
    if summary is not None:
        summary.unlink(missing_ok=True)  # it tells of an output that is about to be replaced
    return Wanted(wanted, sources)


def open_rows(inputs: Sequence[str], wanted: Wanted, config: Config, report: ReadReport, read: BytesRead) -> Iterator[Row]:
    """Read the rows of a job's inputs."""
    report.on_bytes = read.add
    if list(inputs) == [STDIN]:
        return read_inputs(inputs, config.read, report=report)
    # The files whose digests were taken, not what a folder holds by now.
    return read_files(wanted.inputs.paths(), config.read, report=report)


def _drop_row(article: Article, drop: Drop) -> dict[str, Any]:
    return {"article_id": article.id, "start": drop.start, "end": drop.end, "rule": drop.rule, "text": drop.text}


def refuse_nothing(tally: Tally, outputs: Outputs, inputs: Sequence[str]) -> None:
    """Refuse to write an output without a single usable row.

    Raises:
        NetralError: Nothing could be used; the first rejects are named.
    """
    if not tally.sentences:
        raise NetralError(*nothing_usable([*map(reject_line, outputs.first_rejects)] or [f"{', '.join(inputs)}: no row at all"]))


def finished(stage: str, wanted: Wanted, settings: dict[str, Any], tally: Tally, begun: float) -> dict[str, Any]:
    """Build the summary that all single-file jobs have in common."""
    seconds = time.monotonic() - begun
    return {
        "stage": stage,
        "fingerprint": wanted.fingerprint,
        "settings": settings,
        "inputs": {each["file"]: each["sha256"] for each in wanted.inputs.listed()},
        "counts": tally.counts(),
        "stage_seconds": tally.stage_seconds(),
        "seconds": round(seconds, 2),
        "sentences_per_second": round(tally.sentences / max(seconds, 1e-9), 1),
        "libraries": libraries(),
    }
