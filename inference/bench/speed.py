"""Speed: sentences a second of every system on the same sentences, and what each needs to start and to hold."""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tokenizers import Tokenizer

from inference.bench.child import Run, run
from inference.bench.common import Table, interleaved, timed
from inference.bench.peak import encoder_operations
from inference.bench.systems import NETRAL, PIPELINE, Place, System

Loaded = Mapping[str, System]


def load(found: Mapping[str, Callable[[], System]]) -> Loaded:
    """Load systems into this process."""
    return {name: make() for name, make in found.items()}


def token_counts(model: Path, sentences: list[str]) -> list[int]:
    """Return the number of tokens of each sentence, with those that the tokenizer adds."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(sentences)]


def speed_table(place: Place, loaded: Loaded, sentences: list[str], rounds: int, peaks: dict[str, float]) -> Table:
    """Time every system in turn; ratios are to the first system, differences are to it too: transformers in fp32."""
    seconds = interleaved({name: partial(system.label, sentences) for name, system in loaded.items()}, rounds)
    operations = encoder_operations(place.model, token_counts(place.model, sentences))
    reference = loaded[PIPELINE].probabilities(sentences)
    table = [["system", "sentences/s", "ratio", "of its GEMM peak", "largest probability difference"]]
    for name, system in loaded.items():
        peak = peaks.get(system.precision)
        share = f"{operations / seconds[name] / peak:.0%} ({system.precision})" if peak else "no peak measured"
        difference = float(np.abs(system.probabilities(sentences) - reference).max())
        rate = len(sentences) / seconds[name]
        table.append([name, f"{rate:.1f}", f"{seconds[PIPELINE] / seconds[name]:.1f}", share, f"{difference:.1e}"])
    return table


def start_table(place: Place, names: list[str], sentences: list[str]) -> Table:
    """Run each system alone in a fresh process: seconds from its start to its first label, and its largest memory."""
    table = [["system in a fresh process", "first label after s", "peak memory MiB"]]
    with TemporaryDirectory(prefix="netral-bench-") as work:
        path = Path(work) / "sentences.json"
        path.write_text(json.dumps(sentences), encoding="utf-8")
        for name in names:
            done = _started(place, name, path)
            first = float(done.output.splitlines()[-1]) - done.begun
            table.append([name, f"{first:.1f}", f"{done.peak_mib:.0f}"])
    return table


def _started(place: Place, name: str, sentences: Path) -> Run:
    folders = (str(place.model), str(place.raw or ""), str(place.onnx or ""))
    return run([sys.executable, "-m", "inference.bench.first_label", name, *folders, str(sentences)])


def single_table(loaded: Loaded, sentences: list[str], calls: int) -> Table:
    """Time calls with one sentence each, many in a row on each system, so that its weights stay in the processor's caches."""
    table = [["one sentence in one call, warm", "median ms"]]
    for name, system in loaded.items():
        if name == PIPELINE or name.startswith(NETRAL):
            work = partial(_label_next, system, cycle([[sentence] for sentence in sentences]))
            table.append([name, f"{1000 * timed(work, calls):.1f}"])
    return table


def _label_next(system: System, single: "cycle[list[str]]") -> None:
    system.label(next(single))
