"""OpenVINO on the CPU: fp32, bf16 where the processor has it, and int8."""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from netral.errors import NetralError

OPENVINO_FILE = "model.xml"


class OpenvinoBackend:
    """A compiled model with one stream of one thread for each caller."""

    name = "openvino"
    fixed_tokens: int | None = None

    def __init__(self, export: Path, precision: str, streams: int) -> None:
        """Load ``model.xml`` and ``model.bin`` from an export folder and compile them for this processor.

        Raises:
            NetralError: The files cannot be loaded.
        """
        import openvino

        # The hint decides what the matrix products of the parts that are not quantised compute in.
        hint = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}[precision]
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": streams, "NUM_STREAMS": streams, "ENABLE_CPU_PINNING": False}
        try:
            self._model: Any = openvino.Core().compile_model(export / OPENVINO_FILE, "CPU", settings)
        except RuntimeError as error:
            raise NetralError(f"{export / OPENVINO_FILE}: cannot be loaded ({error})", "export the model again") from None
        self._local = threading.local()
        self.precision = precision
        self.noise = 2e-4 if precision == "fp32" else 0.0  # as in ONNX Runtime

    def logits(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Run the calling thread's own request."""
        if not hasattr(self._local, "request"):
            self._local.request = self._model.create_infer_request()
        found = self._local.request.infer({"input_ids": input_ids, "attention_mask": attention_mask})
        return np.array(found["logits"], dtype=np.float32)
