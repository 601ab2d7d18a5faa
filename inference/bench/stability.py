"""What the surroundings change: another program's load, which costs speed, and other batches, which must not cost a bit."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median

import numpy as np

from inference.backends import Variant, make_backend
from inference.bench.common import Table, clocked
from inference.bench.speed import Loaded
from inference.bench.systems import NETRAL, SORTED_TORCH, Place
from inference.exports.parity import EXPORTS
from inference.host import allowed_cores
from inference.predictor import Predictor
from netral.model_folder import open_model_folder

# (tokens of a batch, order of the sentences): one sentence a batch up to all of a length in one.
_BATCHES = ((1, 1), (512, -1), (1024, 1), (4096, -1), (16384, 1))


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one of the cores that this process may use busy with another program."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
    try:
        yield
    finally:
        process.kill()
        process.wait()


def busy_table(loaded: Loaded, sentences: list[str], rounds: int) -> Table:
    """Time systems on an idle machine and beside a busy program, in turn."""
    names = [SORTED_TORCH, *(name for name in loaded if name.startswith(NETRAL))]
    works = {name: partial(loaded[name].label, sentences) for name in names}
    idle: dict[str, list[float]] = {name: [] for name in names}
    busy: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        works[name]()  # not counted
    for _ in range(rounds):
        for name in names:
            idle[name].append(clocked(works[name]))
        with busy_core():
            for name in names:
                busy[name].append(clocked(works[name]))
    cores = allowed_cores()
    table = [[f"one of {cores} cores busy", "sentences/s idle", "sentences/s busy", "kept", "ratio to the peer, busy"]]
    for name in names:
        free, beside = median(idle[name]), median(busy[name])
        ratio = median(busy[SORTED_TORCH]) / beside
        label = f"{name}, {cores} OpenMP threads" if name == SORTED_TORCH else name
        table.append([label, f"{len(sentences) / free:.1f}", f"{len(sentences) / beside:.1f}", f"{free / beside:.0%}", f"{ratio:.1f}"])
    return table


def determinism_table(place: Place, sentences: list[str]) -> Table:
    """Compare the logits of the same sentences in other batches, orders and numbers of streams."""
    table = [["logits in other batches, orders and streams", "sentences", "largest difference", "allowed (backend.noise)"]]
    for variant in place.variants:
        difference, noise = _spread(place, variant, sentences)
        table.append([str(variant), str(len(sentences)), f"{difference:.1e}" if difference else "0", f"{noise:.0e}" if noise else "0"])
    return table


def _spread(place: Place, variant: Variant, sentences: list[str]) -> tuple[float, float]:
    folder = open_model_folder(place.model)
    found = []
    noise = 0.0
    for streams in sorted({1, max(2, allowed_cores())}):
        backend = make_backend(folder, variant, "cpu", streams, export=place.raw or place.model / EXPORTS / str(variant))
        noise = backend.noise
        for tokens, order in _BATCHES:
            with Predictor(place.model, backend=backend, batch_tokens=tokens, streams=streams) as predictor:
                found.append(predictor.logits(sentences[::order])[::order])
    return max(float(np.abs(each - found[0]).max()) for each in found), noise
