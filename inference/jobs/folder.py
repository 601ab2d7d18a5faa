"""Labels into a folder of Parquet parts: many processes, restartable, one shard at a time."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from inference.jobs.inputs import Inputs
from inference.jobs.locks import FolderLock, Slice
from inference.jobs.rollup import check_level
from inference.jobs.rows import added_up
from inference.jobs.shards import OutputFolder, Shard, cut, unwritable
from inference.jobs.workers import Pool
from inference.predictor import DEFAULT_MODEL
from netral.config import Config
from netral.errors import NetralError
from netral.io.columns import ReadReport
from netral.io.paths import STDIN, expand_inputs
from netral.io.readers import read_files
from netral.io.writers import OUTPUT_SCHEMA, SENTENCE
from netral.model_folder import ModelFolder, open_model_folder
from netral.progress import Progress
from netral.provenance import code_digest, libraries

_CHOSEN = ("backend", "precision", "device")


def label_folder(
    inputs: Sequence[str],
    out: Path,
    config: Config,
    *,
    model: Path | None = None,
    backend: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    level: str = SENTENCE,
    cache: Path | None = None,
    workers: int | None = None,
    part: Slice | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Label the inputs into a folder, going on where an earlier job with the same inputs, model and settings stopped.

    Args:
        inputs: Files, folders or globs.
        out: The folder.
        config: Settings; ``label.shard_bytes`` decides the cut, all else under ``label`` only speed.
        model: Model folder; None is the embedded default model.
        backend: As for the Predictor. What ``auto`` found the first time is used again.
        precision: Likewise.
        device: Likewise.
        level: What a row of the output is, ``sentence`` or ``article``.
        cache: Folder that keeps scores from run to run.
        workers: Processes; None is one for each core that may be used, or for each CUDA device if the model runs there.
        part: Do only these shards, beside other jobs on the same folder.
        overwrite: Start over if the folder holds the work of another job.

    Returns:
        The summary; with ``unchanged`` if all was done before; ``unfinished`` shards alone while other slices are not done.

    Raises:
        NetralError: Another job holds the folder or wrote it, an input changed, nothing was usable, or a worker cannot go on.
    """
    check_level(level)
    if STDIN in inputs:
        raise NetralError("-: a folder job reads its input again after a stop, standard input cannot be", "save it to a file first")
    folder = open_model_folder(model or DEFAULT_MODEL)
    paths = expand_inputs(inputs, exclude=out)
    chosen = dict(zip(_CHOSEN, (backend, precision, device), strict=True))
    sizes = {"batch_tokens": config.label.batch_tokens, "window": config.label.window}
    begun = time.monotonic()
    with ExitStack() as stack:
        # Locked before the inputs are looked through, which may take minutes, so that a second job is refused at once.
        lock = stack.enter_context(FolderLock(out, part))
        sources = Inputs(paths)
        wanted = {
            "kind": "netral label",
            "schema": OUTPUT_SCHEMA,
            "code": code_digest()[:16],
            "model": folder.fingerprint,
            **chosen,
            "level": level,
            "settings": {"read": config.read.model_dump(), "label": {"shard_bytes": config.label.shard_bytes}},
            "inputs": sources.listed(),
        }
        progress = stack.enter_context(Progress("label", "sentences", total_bytes=sources.plain_bytes()))
        options = {"model": folder.path, **chosen, **sizes, "cache": cache}
        pool = stack.enter_context(Pool(workers, OutputFolder(out), options, progress, level))
        job = _FolderJob(OutputFolder(out), part or Slice(), sources, folder, progress)
        with lock.setup():
            done = job.begin(wanted, pool, lock.alone(), overwrite)
        if done:
            return {**done, "unchanged": True}
        read = _Position()
        job.report.on_bytes = read.add
        rows = read_files(sources.paths(), config.read, report=job.report)
        pool.run(job.to_do(cut(rows, config.label.shard_bytes, read)), job.publish)
        sources.check()
        with lock.setup():
            return job.finish(begun)


class _Position:
    """How much of the input has been read."""

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, size: int) -> None:
        self._bytes += size

    def __call__(self) -> int:
        return self._bytes


class _FolderJob:
    """One run over an output folder."""

    def __init__(self, output: OutputFolder, part: Slice, sources: Inputs, folder: ModelFolder, progress: Progress) -> None:
        self._output, self._part, self._sources, self._folder, self._progress = output, part, sources, folder, progress
        self._manifest: dict[str, Any] = {}
        self._shards = self._sentences = 0
        # Of the whole input: shards that are done are read past.
        self.report = ReadReport()

    def begin(self, wanted: dict[str, Any], pool: Pool, alone: bool, overwrite: bool) -> dict[str, Any] | None:
        """Take up the folder's job or begin a new one; return the summary if nothing is left to do."""
        found = self._output.read_manifest()
        self._output.remove_temporary(self._part.holds)
        differences = _differences(found, wanted) if found else []
        if differences and not (overwrite and alone):
            raise NetralError(
                f"{self._output.path}: belongs to a job with other {', '.join(differences)}",
                "pass --overwrite to start over, or choose another --out"
                if alone
                else "other jobs are at work there: wait for them, or choose another --out",
            )
        if found and not differences:
            self._manifest = found
            summary = self._output.read_summary()
            if not summary:
                pool.expect({key: found[key] for key in ("model", *_CHOSEN)})
            return summary
        resolved = pool.resolve()
        self._output.clear()
        self._manifest = {**wanted, **{key: resolved[key] for key in _CHOSEN}}
        self._output.begin(self._manifest)
        return None

    def to_do(self, shards: Iterator[Shard]) -> Iterator[Shard]:
        """Pass on the shards of this slice that are not done yet."""
        for shard in shards:
            self._shards = shard.index + 1
            if self._part.holds(shard.index) and not self._output.done(shard.index):
                yield shard
            else:
                self._progress.skip(shard.input_bytes)

    def publish(self, shard: Shard, token: str, marker: dict[str, Any]) -> None:
        """Publish a finished shard, unless a file that it was read from is not what it was."""
        self._sources.check(shard.files())
        try:
            self._output.publish(shard.index, token, marker)
        except OSError as error:
            raise unwritable(self._output.marker(shard.index), error) from None
        self._sentences += marker["counts"]["sentences_out"]
        self._progress.advance(0, shard.input_bytes)

    def finish(self, begun: float) -> dict[str, Any]:
        """Write the summary if every shard of every slice is done."""
        self._output.remove_temporary(self._part.holds)
        markers = [self._output.read_marker(index) for index in range(self._shards)]
        missing = markers.count(None)
        if missing:
            return {"unfinished": missing}
        every = [marker for marker in markers if marker]
        counts = added_up(marker["counts"] for marker in every)
        if not counts["sentences_out"]:
            lines = self._output.first_rejects(self._shards)
            self._output.clear()
            raise NetralError(*nothing_usable(lines))
        seconds = time.monotonic() - begun
        summary = {
            "stage": "label",
            "model": {"fingerprint": self._folder.fingerprint, "decision": self._folder.decision_digest()},
            **{key: self._manifest[key] for key in _CHOSEN},
            "level": self._manifest["level"],
            "settings": self._manifest["settings"],
            "shards": self._shards,
            "counts": {**counts, **self.report.counts()},
            "citations": added_up(marker["citations"] for marker in every),
            "scoring": added_up(marker["scoring"] for marker in every),
            "stage_seconds": {k: round(v, 3) for k, v in added_up(marker["stage_seconds"] for marker in every).items()},
            "seconds": round(seconds, 2),
            "sentences_per_second": round(self._sentences / max(seconds, 1e-9), 1),
            "libraries": libraries(),
        }
        self._output.finish(self._shards, summary)
        return summary


def nothing_usable(lines: Sequence[str]) -> tuple[str, str]:
    """Return message and next step for input without a single sentence."""
    return (
        "\n".join(lines),
        "nothing could be used, so nothing was written; correct the input (one article a .txt, or JSON lines with `text` or `sentence`)",
    )


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Name what differs between two manifests; what was left to choose agrees with any choice."""
    names = {"schema": "output schema", "code": "code of netral", "model": "model", "level": "level", "settings": "settings"}
    out = [name for key, name in names.items() if found.get(key) != wanted[key]]
    out += [key for key in _CHOSEN if wanted[key] not in ("auto", found.get(key))]
    ours, theirs = ({each["file"]: each for each in manifest["inputs"]} for manifest in (wanted, found))
    changed = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if changed:
        out.append(f"inputs ({', '.join(changed[:3])}{', …' if len(changed) > 3 else ''})")
    return out
