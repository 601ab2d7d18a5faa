"""ONNX Runtime on the CPU. Imports no torch: a job's first label comes within seconds."""

from pathlib import Path

import numpy as np

from inference.backends.base import FIXED_TOKENS, FP32_NOISE, REDUCED_NOISE
from netral.errors import NetralError

ONNX_FILES = {"fp32": "fp32.onnx", "int8": "int8.onnx"}


class OnnxBackend:
    """A session with one thread: callers run it from as many threads as they want to keep busy."""

    name = "onnx"

    def __init__(self, export: Path, precision: str) -> None:
        """Load an export folder's file for the precision.

        Raises:
            NetralError: The file cannot be loaded.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        path = export / ONNX_FILES[precision]
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library raises its own types, which share no base class
            raise NetralError(f"{path}: cannot be loaded ({error})", "export the model again with `netral export`") from None
        self.precision = precision
        self.noise = FP32_NOISE if precision == "fp32" else REDUCED_NOISE
        self.fixed_tokens = None if precision == "fp32" else FIXED_TOKENS

    def logits(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Run the session."""
        (found,) = self._session.run(["logits"], {"input_ids": input_ids, "attention_mask": attention_mask})
        return np.asarray(found, dtype=np.float32)
