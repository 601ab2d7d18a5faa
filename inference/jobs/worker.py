"""What runs in a worker process: text stage, scoring and writing, one shard at a time."""

import os
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from pathlib import Path
from typing import Any

from inference.jobs.rollup import to_rows
from inference.jobs.rows import Labelled, Tally, in_use, scoring_stats, to_labels, to_sentences
from inference.jobs.shards import OutputFolder, Shard, sync_file, unwritable
from inference.predictor import Predictor
from netral.errors import NetralError
from netral.io.writers import JsonlWriter, ParquetWriter, reject_row
from netral.provenance import file_digest
from netral.records import Reject, Sentence
from netral.text import TextStage

_REPORT_EVERY = 500


@dataclass(slots=True)
class Task:
    """One attempt at a shard.

    Attributes:
        shard: The rows.
        token: Names the attempt's files, which nobody but the coordinator renames.
        deaths: Workers that this shard has killed. From the first on rows are worked on one at a time.
        deadly: Rows that killed a worker when worked on alone, and how; they are rejected.
        reported: Sentences reported as done so far.
    """

    shard: Shard
    token: str
    deaths: int = 0
    deadly: dict[int, str] = field(default_factory=dict)
    reported: int = 0


def main(connection: Connection, folder: Path, options: dict[str, Any], level: str) -> None:
    """Load the model, say so, and do tasks until the coordinator goes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with Predictor(**options, streams=1) as predictor:
            connection.send(("ready", {"model": predictor.folder.fingerprint, **in_use(predictor)}))
            worker = _Worker(OutputFolder(folder), predictor, connection, level)
            while True:
                connection.send(("done", worker.run(connection.recv())))
    except (EOFError, ConnectionError):
        return
    except NetralError as error:
        connection.send(("failed", error.message, error.next_step))
    except Exception as error:
        connection.send(("crashed", f"{type(error).__name__}: {error}", traceback.format_exc()))


def _end_with_parent() -> None:
    """End at once when the coordinator dies: what this process would write could not be published any more."""
    parent = parent_process()
    if parent:
        wait([parent.sentinel])
        os._exit(1)


class _Worker:
    def __init__(self, folder: OutputFolder, predictor: Predictor, connection: Connection, level: str) -> None:
        self._folder, self._predictor, self._connection, self._level = folder, predictor, connection, level
        self._stage = TextStage(predictor.folder.serving.text)

    def run(self, task: Task) -> dict[str, Any]:
        """Label a shard, write its files and return its marker.

        Raises:
            NetralError: The files cannot be written.
        """
        tally = Tally(seconds={"read": task.shard.read_seconds})
        before = scoring_stats(self._predictor)
        part, rejects = (self._folder.temporary(kind, task.shard.index, task.token) for kind in ("part", "rejects"))
        try:
            self._write(task, tally, part, rejects)
        except ConnectionError:
            raise  # the coordinator is gone: no trouble with the files
        except OSError as error:
            raise unwritable(self._folder.part(task.shard.index), error) from None
        return {
            "shard": task.shard.index,
            "counts": tally.counts(),
            "citations": tally.cited(),
            "part": {"bytes": part.stat().st_size, "sha256": file_digest(part)},
            "rejects": {"bytes": rejects.stat().st_size, "sha256": file_digest(rejects)},
            "scoring": {key: value - before[key] for key, value in scoring_stats(self._predictor).items()},
            "stage_seconds": tally.stage_seconds(),
        }

    def _write(self, task: Task, tally: Tally, part: Path, rejects: Path) -> None:
        rows = ParquetWriter(part, self._predictor.labels, self._level)
        model = self._predictor.folder.fingerprint
        with JsonlWriter(rejects) as bad:
            for found in to_rows(self._labelled(task, tally), self._level, self._predictor.labels, model, tally):
                with tally.timed("write"):
                    if isinstance(found, Reject):
                        bad.write(reject_row(found))
                    else:
                        rows.write(found)
                if tally.sentences - task.reported >= _REPORT_EVERY:
                    self._connection.send(("progress", tally.sentences - task.reported))
                    task.reported = tally.sentences
        with tally.timed("write"):
            rows.close()
            sync_file(part)
            sync_file(rejects)

    def _labelled(self, task: Task, tally: Tally) -> Iterator[Labelled]:
        if not task.deaths:
            yield from to_labels(to_sentences(task.shard.rows, self._stage, tally), self._predictor, tally)
            return
        # Scores do not depend on the batch: row by row gives the same output, and the journal names the row that kills.
        with self._folder.temporary("journal", task.shard.index, task.token).open("wb", buffering=0) as journal:
            for index, row in enumerate(task.shard.rows):
                os.pwrite(journal.fileno(), b"%12d" % index, 0)
                if index in task.deadly:
                    name = row.sentence_id if isinstance(row, Sentence) else row.id
                    row = Reject(row.file, row.row, "worker_died", task.deadly[index], name)
                yield from to_labels(to_sentences([row], self._stage, tally), self._predictor, tally)
