"""The protocol of all backends, and which of them a model folder and this machine can use."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from inference.exports.parity import EXPORTS, read_parity
from netral.errors import NetralError
from netral.model_folder import ModelFolder

DEVICES = ("auto", "cpu", "cuda")
# Which precisions a backend can run in. The first one needs no export: it is what all others are compared with.
PRECISIONS: dict[str, tuple[str, ...]] = {
    "torch": ("fp32", "bf16", "fp16"),
    "onnx": ("fp32", "int8"),
    "openvino": ("fp32", "bf16", "int8"),
    "fake": ("fp32",),
}
BACKENDS = ("auto", *PRECISIONS)
_LIBRARY = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}

# A sentence's logits differ a little between batches, because libraries choose other kernels for other shapes. All batches hold one
# padded length (inference/batching.py). In fp32 the largest difference then seen is 5e-5 of a logit (`make bench`).
FP32_NOISE = 2e-4
# In a reduced precision a last bit can tip a rounding and is no last bit any more: up to 0.1 of a logit was seen in torch's bf16. Where
# that can happen all batches of a length get one shape, filled up to this many tokens, which stay in a core's cache; what is left is
# the last bit of the last sum.
REDUCED_NOISE = 1e-5
FIXED_TOKENS = 1024


class Backend(Protocol):
    """Scores batches of tokenised sentences; several threads may call it at the same time.

    Attributes:
        name: The backend's name.
        precision: What it computes in.
        noise: How far a sentence's logits may differ between the batches that it may stand in.
        fixed_tokens: Where not None, batches must be filled up to this many tokens (rows times length), or else results differ.
    """

    name: str
    precision: str
    noise: float
    fixed_tokens: int | None

    def logits(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Return logits of shape (batch, labels) in float32 for int64 arrays of shape (batch, length)."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Variant:
    """A backend with its precision, written ``onnx-int8``."""

    backend: str
    precision: str

    def __str__(self) -> str:
        """Write it as its export folder is named."""
        return f"{self.backend}-{self.precision}"


def usable_variants(folder: ModelFolder, backend: str, precision: str, device: str) -> list[Variant]:
    """Return the variants that fit the wish and can run here, torch in fp32 first.

    Every other variant counts only if its export lies in the model folder, belongs to these very weights and passed the parity gate.

    Raises:
        NetralError: Nothing fits; the message says what is missing.
    """
    _check(backend, precision, device)
    if backend == "fake":
        return [Variant("fake", "fp32")]
    why: list[str] = []
    found = [variant for variant in _wished(backend, precision) if _usable(folder, variant, device, why)]
    if not found:
        raise NetralError(*_nothing(folder, backend, precision, why))
    return found


def _check(backend: str, precision: str, device: str) -> None:
    if backend not in BACKENDS:
        raise NetralError(f"--backend {backend}: unknown", f"choose one of {', '.join(BACKENDS)}")
    if device not in DEVICES:
        raise NetralError(f"--device {device}: unknown", f"choose one of {', '.join(DEVICES)}")
    known = sorted({p for name in PRECISIONS if backend in ("auto", name) for p in PRECISIONS[name]})
    if precision not in ("auto", *known):
        raise NetralError(f"--precision {precision}: not one of {backend}'s", f"choose one of auto, {', '.join(known)}")


def _wished(backend: str, precision: str) -> Iterator[Variant]:
    for name in PRECISIONS:
        for each in PRECISIONS[name]:
            if name != "fake" and backend in ("auto", name) and precision in ("auto", each):
                yield Variant(name, each)


def _usable(folder: ModelFolder, variant: Variant, device: str, why: list[str]) -> bool:
    problem = ""
    if find_spec(_LIBRARY[variant.backend]) is None:
        problem = f"{_LIBRARY[variant.backend]} is not installed"
    elif device == "cuda" and variant.backend != "torch":
        problem = "runs on the CPU only"
    elif variant != Variant("torch", "fp32"):
        parity = read_parity(folder, str(variant))
        if parity is None:
            problem = "no export of these weights in the model folder"
        elif not parity.passed:
            problem = "failed the parity gate"
    if problem:
        why.append(f"{variant}: {problem}")
    return not problem


def _nothing(folder: ModelFolder, backend: str, precision: str, why: list[str]) -> tuple[str, str]:
    wish = f"--backend {backend} --precision {precision}" if precision != "auto" else f"--backend {backend}"
    extra = backend if backend in ("onnx", "openvino") else ""
    steps = [f"pip install 'netral[{extra}]'"] if extra and find_spec(_LIBRARY[backend]) is None else []
    steps.append(f"netral export {folder.path} --backend {backend} --precision {precision if precision != 'auto' else 'PRECISION'}")
    return f"{wish} cannot run {folder.path}: {'; '.join(why)}", ", then ".join(steps)


def make_backend(folder: ModelFolder, variant: Variant, device: str, streams: int, export: Path | None = None) -> Backend:
    """Load a model into a backend.

    Args:
        folder: The checked model folder.
        variant: One of :func:`usable_variants`.
        device: ``auto``, ``cpu`` or ``cuda``.
        streams: How many threads will call it at the same time; each computes on one core.
        export: Where the export lies; None is its place in the model folder.

    Raises:
        NetralError: The weights or the export cannot be loaded, or the device is not there.
    """
    export = export or folder.path / EXPORTS / str(variant)
    if variant.backend == "fake":
        from inference.backends.fake import FakeBackend

        return FakeBackend(folder)
    if variant.backend == "onnx":
        from inference.backends.onnx import OnnxBackend

        return OnnxBackend(export, variant.precision)
    if variant.backend == "openvino":
        from inference.backends.openvino import OpenvinoBackend

        return OpenvinoBackend(export, variant.precision, streams)
    from inference.backends.torch import TorchBackend

    return TorchBackend(folder, variant.precision, device)
