"""Labels on a Ray cluster with Ray Data: tasks read and split, actors score, tasks write; the rows of the local engine.

    files -> read (tasks) -> clean and split (tasks) -> score (actors, each with its Predictor) -> write (tasks) -> driver

What flows is one part of the output at a time (``label.shard_bytes`` of text), pickled: these are the records that the local
engine works on, so that nothing can come out differently. Only the driver says that a part is done.
"""

import os
import pickle
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from inference.jobs.folder import nothing_usable
from inference.jobs.locks import FolderLock
from inference.jobs.rollup import check_level, to_rows
from inference.jobs.rows import Tally, added_up, scoring_stats, to_labels, to_sentences
from inference.jobs.shards import cut
from inference.predictor import DEFAULT_MODEL, Predictor
from inference.ray_jobs.cluster import connected, load_ray, refuse_too_little, resolved
from inference.ray_jobs.folder import KIND, RayFolder
from inference.ray_jobs.plan import Plan, Planner, Source, final_id, find_sources, grouped, planned_rows, rows_to_do, scan
from netral.config import Config, ReadSettings, TextSettings
from netral.errors import NetralError
from netral.io.remote import is_uri
from netral.io.writers import OUTPUT_SCHEMA, SENTENCE
from netral.model_folder import ModelFolder, open_model_folder
from netral.progress import Progress
from netral.provenance import code_digest, libraries
from netral.text import TextStage

_CHOSEN = ("backend", "precision", "device")
# Reading waits for disks and networks more than it computes. Tasks of another size than those that split are also not joined
# with them by Ray, so that the parts of one large file are split on many cores.
_READ_CPUS = 0.5


def label_on_ray(
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
    address: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Label what of the inputs is not labelled yet into a folder of Parquet parts, and return the summary over all parts.

    Args:
        inputs: Files, folders, globs, and URIs of files and folders that pyarrow or fsspec know (``s3://``, ``gs://``).
        out: The folder, a path that all machines see, or a URI.
        config: Settings; ``ray`` says what the actors get, ``label.shard_bytes`` how large a part is.
        model: Model folder, at the same path on every machine; None is the embedded default model.
        backend: As for the Predictor. What ``auto`` finds in the first actor holds for all.
        precision: Likewise.
        device: Likewise.
        level: What a row of the output is, ``sentence`` or ``article``.
        cache: Folder that keeps scores from run to run.
        address: Of a Ray cluster; None is ``ray.address``, then RAY_ADDRESS, then a Ray of its own on this machine.
        overwrite: Start over if the folder holds the work of another model or other settings.

    Raises:
        NetralError: Ray is missing or cannot be reached, the folder or an input cannot be used, or a task failed.
    """
    check_level(level)
    ray = load_ray()
    folder = open_model_folder(model or DEFAULT_MODEL)
    output = RayFolder(out)
    begun = time.monotonic()
    with ExitStack() as stack:
        if not is_uri(out):
            stack.enter_context(FolderLock(Path(out), None))
        sources = find_sources(inputs, output.out)
        stack.enter_context(connected(ray, address or config.ray.address))
        refuse_too_little(ray, config.ray, address or config.ray.address or os.environ.get("RAY_ADDRESS"))
        options = {
            "model": folder.path.absolute(),
            **dict(zip(_CHOSEN, (backend, precision, device), strict=True)),
            "batch_tokens": config.label.batch_tokens,
            "window": config.label.window,
            "streams": max(1, int(config.ray.num_cpus)),
            "cache": cache.absolute() if cache else None,
        }
        options.update(resolved(ray, options, config.ray, folder))
        settings = {"read": config.read.model_dump(), "label": {"shard_bytes": config.label.shard_bytes}}
        wanted = {"schema": OUTPUT_SCHEMA, "code": code_digest()[:16], "model": folder.fingerprint, "level": level, "settings": settings}
        manifest = {"kind": KIND, **wanted, **{key: options[key] for key in _CHOSEN}}
        job = _RayJob(ray, output, config, folder, options, level)
        return job.run(manifest, grouped(sources, config.label.shard_bytes), overwrite, begun)


class _RayJob:
    """One run over an output folder."""

    def __init__(self, ray: Any, output: RayFolder, config: Config, folder: ModelFolder, options: dict[str, Any], level: str) -> None:
        self._ray, self._output, self._config, self._folder, self._options, self._level = ray, output, config, folder, options, level

    def run(self, manifest: dict[str, Any], groups: Sequence[Sequence[Source]], overwrite: bool, begun: float) -> dict[str, Any]:
        """Do what is not done and write the summary."""
        markers = self._output.begin(manifest, overwrite)
        plans = self._plan(groups, Planner(self._output.done(markers)))
        todo = rows_to_do(plans)
        summary = self._output.read_summary()
        if not todo and summary:
            return {**summary, "unchanged": True}
        self._output.remove_summary()
        first = max((int(name.split("-", 1)[0]) + 1 for name in markers), default=0)
        sentences = 0
        with Progress("label", "rows", total=todo) as progress:
            for name, changed, marker in self._labelled(groups, plans, first):
                if changed:
                    raise NetralError(
                        f"{', '.join(changed[:3])}: changed or vanished while the job was reading it",
                        "let nothing write to the input, and run the same command again: finished parts are kept",
                    )
                self._output.publish(name, marker)
                markers[name] = marker
                sentences += marker["counts"]["sentences_out"]
                progress.advance(marker["counts"]["rows_in"])
        return self._finish(dict(sorted(markers.items())), sentences, begun)

    def _plan(self, groups: Sequence[Sequence[Source]], planner: Planner) -> list[Plan]:
        """Look through all rows in order and decide about each."""
        plans = [Plan() for _ in groups]
        data = self._dataset([(index, pickle.dumps(list(group))) for index, group in enumerate(groups)])
        data = data.map_batches(_scan, fn_args=(self._config.read,), batch_size=1, batch_format="pyarrow", num_cpus=1)
        # The renaming of repeated ids depends on the order.
        data.context.execution_options.preserve_order = True
        for batch in data.iter_batches(batch_size=None, batch_format="pyarrow"):
            columns = (batch[name].to_pylist() for name in ("group", "digest", "wanted"))
            for group, digest, wanted in zip(*columns, strict=True):
                planner.add(plans[group], digest, wanted)
        return plans

    def _labelled(
        self, groups: Sequence[Sequence[Source]], plans: Sequence[Plan], first: int
    ) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
        """Run the pipeline; yield name, changed inputs and marker of each part when its files are there."""
        work = [(index, pickle.dumps((list(groups[index]), plan))) for index, plan in enumerate(plans) if plan.rows]
        if not work:
            return
        actors, label = self._config.ray, self._config.label
        data = self._dataset(work)
        # Every part a block of its own, so that parts spread over tasks and actors; the text of one has shard_bytes or more.
        data.context.target_max_block_size = max(1, label.shard_bytes // 2)
        one: dict[str, Any] = {"batch_size": 1, "batch_format": "pyarrow"}
        data = data.map_batches(_read, fn_args=(self._config.read, label.shard_bytes, first), num_cpus=_READ_CPUS, **one)
        data = data.map_batches(_split, fn_args=(self._folder.serving.text,), num_cpus=1, **one)
        data = data.map_batches(
            _Score,
            fn_constructor_args=(self._options,),
            compute=self._ray.data.ActorPoolStrategy(size=actors.concurrency),
            num_cpus=actors.num_cpus,
            num_gpus=actors.num_gpus,
            **one,
        )
        write = (self._output, list(self._folder.labels), self._folder.fingerprint, self._level)
        data = data.map_batches(_write, fn_args=write, num_cpus=_READ_CPUS, **one)
        for row in data.iter_rows():
            yield row["name"], *pickle.loads(row["data"])  # noqa: S301 - written by our own task

    def _dataset(self, work: Sequence[tuple[int, bytes]]) -> Any:
        items = [{"name": "", "group": index, "data": data} for index, data in work]
        return self._ray.data.from_items(items, override_num_blocks=min(len(items), 1000))

    def _finish(self, markers: dict[str, dict[str, Any]], sentences: int, begun: float) -> dict[str, Any]:
        counts = added_up(marker["counts"] for marker in markers.values())
        if not counts.get("sentences_out"):
            lines = self._output.first_rejects(markers)
            self._output.clear()
            raise NetralError(*nothing_usable(lines))
        seconds = time.monotonic() - begun
        summary = {
            "stage": "label",
            "model": {"fingerprint": self._folder.fingerprint, "decision": self._folder.decision_digest()},
            **{key: self._options[key] for key in _CHOSEN},
            "level": self._level,
            "parts": len(markers),
            "counts": counts,
            "citations": added_up(marker["citations"] for marker in markers.values()),
            "scoring": added_up(marker["scoring"] for marker in markers.values()),
            "stage_seconds": {k: round(v, 3) for k, v in added_up(m["stage_seconds"] for m in markers.values()).items()},
            "seconds": round(seconds, 2),
            "sentences_per_second": round(sentences / max(seconds, 1e-9), 1),
            "libraries": libraries(),
        }
        self._output.finish(list(markers), summary)
        return summary


# ---- what runs in tasks and actors: one row of these tables is a group of files, or a part


def _row(name: str, group: int, data: Any) -> pa.Table:
    return pa.table({"name": [name], "group": [group], "data": pa.array([pickle.dumps(data)], pa.large_binary())})


def _items(batch: pa.Table) -> Iterator[tuple[str, int, Any]]:
    for row in batch.to_pylist():
        yield row["name"], row["group"], pickle.loads(row["data"])  # noqa: S301 - written by our own driver and tasks


def _scan(batch: pa.Table, settings: ReadSettings) -> Iterator[pa.Table]:
    for _, group, sources in _items(batch):
        for table in scan(sources, settings):
            yield table.append_column("group", pa.array([group] * table.num_rows, pa.int64()))


def _read(batch: pa.Table, settings: ReadSettings, size: int, run: int) -> Iterator[pa.Table]:
    for _, group, (sources, plan) in _items(batch):
        keys: list[str] = []
        for shard in cut(planned_rows(sources, settings, plan, keys), size, lambda: 0):
            # A row behind the part may have been read already.
            done = [(key, final_id(row)) for key, row in zip(keys, shard.rows, strict=False)]
            del keys[: len(shard.rows)]
            files = shard.files()
            data = (shard.rows, [source for source in sources if source.name in files], done, shard.read_seconds)
            yield _row(f"{run:03d}-{group:06d}-{shard.index:05d}", group, data)


def _split(batch: pa.Table, settings: TextSettings) -> Iterator[pa.Table]:
    stage = TextStage(settings)
    for name, group, (rows, sources, done, read_seconds) in _items(batch):
        tally = Tally(seconds={"read": read_seconds})
        yield _row(name, group, (list(to_sentences(rows, stage, tally)), sources, done, tally))


class _Score:
    """An actor: it loads the model once."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._predictor = Predictor(**options)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        for name, group, (items, sources, done, tally) in _items(batch):
            before = scoring_stats(self._predictor)
            labelled = list(to_labels(items, self._predictor, tally))
            scoring = {key: value - before[key] for key, value in scoring_stats(self._predictor).items()}
            yield _row(name, group, (labelled, sources, done, tally, scoring))


def _write(batch: pa.Table, output: RayFolder, labels: list[str], model: str, level: str) -> Iterator[pa.Table]:
    for name, group, (labelled, sources, done, tally, scoring) in _items(batch):
        found = list(to_rows(labelled, level, labels, model, tally))
        with tally.timed("write"):
            size = output.write_part(name, found, done, labels, level)
        marker: dict[str, Any] = {"part_bytes": size, "counts": tally.counts(), "citations": tally.cited(), "scoring": scoring}
        marker["stage_seconds"] = tally.stage_seconds()
        yield _row(name, group, ([source.name for source in sources if source.changed()], marker))
