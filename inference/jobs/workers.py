"""The coordinator's side of the worker processes: gives out shards, takes back markers, replaces workers that die."""

import multiprocessing
import os
import signal
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any

from inference.host import allowed_cores, visible_gpus
from inference.jobs.shards import OutputFolder, Shard
from inference.jobs.worker import Task, main
from netral.errors import NetralError
from netral.progress import Progress

# A worker may die of memory that another program took for a moment; a shard that kills this many is not worked on any more.
MAX_DEATHS = 5
# Every worker computes on one core: threads of several workers that wait for each other cost more than they bring.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_ENVIRONMENT = {**dict.fromkeys(_THREADS, "1"), "TOKENIZERS_PARALLELISM": "false"}
_TICK_S = 5.0


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    connection: Connection
    gpu: str | None
    ready: bool = False
    task: Task | None = None


class Pool:
    """Runs shards in worker processes; as a context manager it ends them however the body ends."""

    def __init__(self, size: int | None, folder: OutputFolder, options: dict[str, Any], progress: Progress, level: str) -> None:
        """Note how many workers there may be and what their Predictor is made with; none is started yet.

        Without a number there is one worker for each core that the process may use, or for each CUDA device if the model runs there.
        """
        self._size, self._folder, self._options, self._progress, self._level = size, folder, options, progress, level
        self._workers: list[_Worker] = []
        self._waiting: deque[Task] = deque()
        self._given = self._deaths_at_start = 0
        self._resolved: dict[str, str] | None = None
        self._gpus = visible_gpus()

    def __enter__(self) -> "Pool":
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the workers, and remove what they had not finished."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
            if worker.task:
                self._remove_files(worker.task)
        self._workers = []

    def resolve(self) -> dict[str, str]:
        """Start the first worker and return which model, backend, precision and device it runs; the others will run the same."""
        while self._resolved is None:
            if not self._workers:
                self._start()
            self._receive(_ignore)
        self._options |= {key: self._resolved[key] for key in ("backend", "precision", "device")}
        return self._resolved

    def expect(self, resolved: dict[str, str]) -> None:
        """Have every worker run what an earlier job resolved."""
        self._resolved = resolved
        self._options |= {key: resolved[key] for key in ("backend", "precision", "device")}

    def run(self, shards: Iterator[Shard], publish: Callable[[Shard, str, dict[str, Any]], None]) -> None:
        """Work through the shards; each one's marker is given to ``publish`` together with the token of its files.

        At most one shard more than there are workers is in memory.

        Raises:
            NetralError: A worker cannot go on, or a shard killed too many.
        """
        while True:
            self._read_ahead(shards)
            for worker in self._workers:
                if worker.ready and not worker.task and self._waiting:
                    self._give(worker, self._waiting.popleft())
                    self._read_ahead(shards)
            if not self._waiting and not any(worker.task for worker in self._workers):
                return
            # A job of one shard needs one worker.
            wanted = self._limit() if self._given else 1
            while self._waiting and len(self._workers) < wanted:
                self._start()
            self._receive(publish)

    def _read_ahead(self, shards: Iterator[Shard]) -> None:
        shard = None if self._waiting else next(shards, None)
        if shard:
            self._waiting.append(Task(shard, uuid.uuid4().hex))

    def _limit(self) -> int:
        if self._size or not self._resolved:
            return self._size or 1
        return max(1, len(self._gpus)) if self._resolved["device"] == "cuda" else allowed_cores()

    def _start(self) -> None:
        used = Counter(worker.gpu for worker in self._workers)
        gpu = min(self._gpus, key=lambda name: used[name], default=None)
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=main, args=(theirs, self._folder.path, dict(self._options), self._level), daemon=True, name="netral-worker"
        )
        with _inherited({**_ENVIRONMENT, **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})}):
            process.start()
        # Only the worker may hold its end: the connection then ends when it dies.
        theirs.close()
        self._workers.append(_Worker(process, ours, gpu))

    def _give(self, worker: _Worker, task: Task) -> None:
        worker.task = task
        self._given += 1
        # A worker that died just now is noticed when its answer is read.
        with suppress(OSError):
            worker.connection.send(task)

    def _receive(self, publish: Callable[[Shard, str, dict[str, Any]], None]) -> None:
        """Wait for news of any worker, for a few seconds at most, and act on it."""
        expected = [worker for worker in self._workers if worker.task or not worker.ready]
        found = wait([worker.connection for worker in expected], timeout=_TICK_S)
        if not found:
            self._progress.advance(0)
        for worker in expected:
            if worker.connection not in found:
                continue
            try:
                kind, *content = worker.connection.recv()
            except (EOFError, OSError):
                self._died(worker)
                continue
            if kind == "ready":
                self._check_resolved(content[0])
                worker.ready = True
            elif kind == "progress" and worker.task:
                worker.task.reported += content[0]
                self._progress.advance(content[0])
            elif kind == "done" and worker.task:
                task, worker.task = worker.task, None
                self._progress.advance(content[0]["counts"]["sentences_out"] - task.reported)
                try:
                    publish(task.shard, task.token, content[0])
                finally:
                    self._remove_files(task)
            elif kind == "crashed" and worker.task:
                # As a worker that dies: one row that the code cannot deal with is no reason to lose the job.
                self._died(worker, content[0])
            elif kind == "crashed":
                raise RuntimeError(f"a worker cannot start:\n{content[1]}")
            else:
                raise NetralError(*content)

    def _check_resolved(self, resolved: dict[str, str]) -> None:
        if self._resolved is not None and self._resolved != resolved:
            raise NetralError(f"a worker runs {resolved}, the job {self._resolved}", "leave the model folder alone while a job runs")
        self._resolved = resolved

    def _died(self, worker: _Worker, problem: str = "") -> None:
        """Take out a worker that died (or said what its problem is); its shard is given again, row by row."""
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join()
        problem = problem or f"the worker process died (exit code {worker.process.exitcode})"
        task = worker.task
        if task is None:
            self._deaths_at_start += 1
            if self._deaths_at_start > MAX_DEATHS:
                raise NetralError(
                    f"{problem} at its start, as others before",
                    "use fewer --workers if memory is short; a script of your own has to start the job under `if __name__ == '__main__':`",
                )
            return
        row = self._in_work(task)
        self._remove_files(task)
        self._progress.advance(-task.reported)
        if task.deaths >= MAX_DEATHS:
            first, last = task.shard.rows[0], task.shard.rows[-1]
            raise NetralError(
                f"{self._folder.part(task.shard.index)}: {problem}, as {task.deaths} did before over this shard",
                "use fewer --workers if memory is short; else take out the rows to blame, "
                f"they are between {first.file}:{first.row} and {last.file}:{last.row}",
            )
        self._progress.say(f"{problem}; part {task.shard.index} is done again, row by row")
        deadly = task.deadly if row is None else {**task.deadly, row: problem}
        self._waiting.appendleft(replace(task, token=uuid.uuid4().hex, deaths=task.deaths + 1, deadly=deadly, reported=0))

    def _in_work(self, task: Task) -> int | None:
        """Return the row that a worker wrote into its journal last; there is none before the first death."""
        try:
            return int(self._folder.temporary("journal", task.shard.index, task.token).read_bytes())
        except (OSError, ValueError):
            return None

    def _remove_files(self, task: Task) -> None:
        for kind in ("part", "rejects", "journal"):
            self._folder.temporary(kind, task.shard.index, task.token).unlink(missing_ok=True)


def _ignore(shard: Shard, token: str, marker: dict[str, Any]) -> None:
    """Take nothing: no shard was given yet."""


@contextmanager
def _inherited(environment: dict[str, str]) -> Iterator[None]:
    """Give a child process its environment, and leave it alone when Ctrl-C or a batch system signals the whole group.

    The coordinator gets the signal too and ends its workers itself. The signals are blocked rather than ignored because a child
    inherits that before its first line of Python runs.
    """
    resource_tracker.ensure_running()  # it would unblock the signals again if it were started in between
    before = {name: os.environ.get(name) for name in environment}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
