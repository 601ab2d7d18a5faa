"""Takes the fastest backend that a model folder and this machine have: measured on this very host, once."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from inference.backends import Backend, Variant, make_backend, usable_variants
from inference.host import allowed_cores
from netral.errors import NetralError
from netral.model_folder import ModelFolder

# Padded lengths of the gold corpus's sentences in the embedded tokenizer, one from the middle of each tenth.
_TYPICAL_LENGTHS = (24, 24, 24, 32, 32, 32, 32, 40, 40, 48)
_ROWS = 24
_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Choice:
    """Which variant runs where, and what it was chosen from.

    Attributes:
        variant: Backend and precision.
        device: ``cpu`` or ``cuda``.
        rates: Sentences a second of one stream for each candidate; empty where there was nothing to choose from.
        remembered: Whether the rates come from an earlier run on this host.
    """

    variant: Variant
    device: str
    rates: dict[str, float]
    remembered: bool = False


def choose_variant(folder: ModelFolder, backend: str, precision: str, device: str) -> Choice:
    """Find the variant to use; where several fit, the fastest on this host.

    The rates are measured at first use, for a second or two, and kept in the user's cache folder for this model, host and set of
    versions. Delete the file to measure again.

    Raises:
        NetralError: Nothing fits the wish.
    """
    candidates = usable_variants(folder, backend, precision, device)
    where = _device(candidates, device)
    if where == "cuda":
        # A CUDA device outruns any CPU; the smallest precision that passed the gate is the fastest there.
        on_cuda = [variant for variant in candidates if variant.backend == "torch"]
        order = ("bf16", "fp16", "fp32")
        return Choice(min(on_cuda, key=lambda variant: order.index(variant.precision)), where, {})
    if len(candidates) == 1:
        return Choice(candidates[0], where, {})
    path, key = _store(), _key(folder, candidates)
    known = _read(path).get(key)
    rates = known or {str(variant): round(_rate(folder, variant), 1) for variant in candidates}
    if not known:
        _write(path, key, rates)
    return Choice(max(candidates, key=lambda variant: (rates[str(variant)], str(variant))), where, rates, remembered=bool(known))


def _device(candidates: Sequence[Variant], device: str) -> str:
    if device == "cpu" or all(variant.backend != "torch" for variant in candidates):
        return "cpu"
    # Asking torch costs its import: only where it may run anyway and a driver is there.
    if device == "cuda" or Path("/proc/driver/nvidia").exists():
        import torch

        if torch.cuda.is_available():
            return "cuda"
        if device == "cuda":
            raise NetralError("--device cuda: torch sees no CUDA device", "use --device cpu, or install a CUDA build of torch")
    return "cpu"


def _rate(folder: ModelFolder, variant: Variant) -> float:
    """Measure sentences a second of one stream on sentences of typical length."""
    backend: Backend = make_backend(folder, variant, "cpu", 1)
    rows = [min(length, folder.serving.max_length) for length in _TYPICAL_LENGTHS]
    batches = [(np.full((_ROWS, length), 5, dtype=np.int64), np.ones((_ROWS, length), dtype=np.int64)) for length in rows]
    for batch in batches:
        backend.logits(*batch)  # the first call of a shape compiles it
    rounds, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < _SECONDS:
        for batch in batches:
            backend.logits(*batch)
        rounds += 1
    return rounds * _ROWS * len(batches) / (time.perf_counter() - begun)


def _store() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netral" / "speed.json"


def _key(folder: ModelFolder, candidates: Sequence[Variant]) -> str:
    versions = []
    for name in ("torch", "onnxruntime", "openvino"):
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    host = [platform.node(), _processor(), allowed_cores()]
    text = json.dumps([folder.fingerprint, [str(variant) for variant in candidates], host, versions])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: rates for key, rates in data.items() if isinstance(rates, dict)} if isinstance(data, dict) else {}


def _write(path: Path, key: str, rates: dict[str, float]) -> None:
    """Keep the rates; a home folder that cannot be written only means measuring again."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        beside.write_text(json.dumps({**_read(path), key: rates}, indent=1) + "\n", encoding="utf-8")
        os.replace(beside, path)
