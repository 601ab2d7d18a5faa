"""OpenVINO on the CPU: fp32, bf16 where the processor has it, and int8."""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from inference.backends.base import FP32_NOISE, REDUCED_NOISE
from netral.errors import NetralError

# One file serves fp32 and bf16: the engine rounds the weights when it compiles them.
OPENVINO_FILES = {"fp32": "fp32.xml", "bf16": "fp32.xml", "int8": "int8.xml"}


class OpenvinoBackend:
    """A compiled model with one stream of one thread for each caller."""

    name = "openvino"
    # Its kernels compute a row alike in any batch of one padded length: no difference was ever seen on the shipped model, in any
    # precision, with batches of 1 to 16,384 tokens (`make bench`), and a last bit on a model with layers of 48 features.
    fixed_tokens: int | None = None

    def __init__(self, export: Path, precision: str, streams: int) -> None:
        """Load an export folder's file for the precision and compile it for this processor.

        Raises:
            NetralError: The files cannot be loaded.
        """
        import openvino

        # The hint decides what the matrix products of the parts that are not quantised compute in.
        path = export / OPENVINO_FILES[precision]
        hint = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}[precision]
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": streams, "NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
        try:
            self._model: Any = openvino.Core().compile_model(path, "CPU", settings)
        except RuntimeError as error:
            raise NetralError(f"{path}: cannot be loaded ({error})", "export the model again") from None
        self._local = threading.local()
        self.precision = precision
        self.noise = FP32_NOISE if precision == "fp32" else REDUCED_NOISE
        # The first call must come from one thread alone: two first calls at once were seen to wait for each other for ever, in the
        # code that binds NumPy to OpenVINO 2026.4.
        self.logits(np.ones((1, 8), dtype=np.int64), np.ones((1, 8), dtype=np.int64))

    def logits(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Run the calling thread's own request."""
        if not hasattr(self._local, "request"):
            self._local.request = self._model.create_infer_request()
        found = self._local.request.infer({"input_ids": input_ids, "attention_mask": attention_mask})
        return np.array(found["logits"], dtype=np.float32)
