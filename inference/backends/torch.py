"""PyTorch on the CPU or one CUDA device."""

import threading
from typing import Any

import numpy as np

from inference.backends.base import FIXED_TOKENS, FP32_NOISE, REDUCED_NOISE
from netral.errors import NetralError
from netral.model_folder import ModelFolder

# A CUDA device needs far larger batches than a core does.
_FIXED_TOKENS = {"cpu": FIXED_TOKENS, "cuda": 32768}


class TorchBackend:
    """PyTorch with the inference graph where the architecture has one, else transformers' own modules."""

    name = "torch"

    def __init__(self, folder: ModelFolder, precision: str, device: str) -> None:
        """Load the weights (safetensors only, no remote code).

        Raises:
            NetralError: CUDA was asked for and is not there, or the weights do not fit the configuration.
        """
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise NetralError("--device cuda: torch sees no CUDA device", "use --device cpu, or install a CUDA build of torch")
        self._torch = torch
        self._device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        self.precision = precision
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self.noise = FP32_NOISE if precision == "fp32" else REDUCED_NOISE
        self.fixed_tokens = None if precision == "fp32" else _FIXED_TOKENS[self._device]
        self._model = self._graph(load_classifier(folder), folder.serving.type_separator)
        self._local = threading.local()

    def _graph(self, model: Any, type_separator: int | None) -> Any:
        from inference.backends.encoder_graph import EncoderGraph, pack_linear_layers, supports, token_types

        if not supports(model.config):
            plain = model.to(self._device, self._dtype)

            def run(input_ids: Any, attention_mask: Any) -> Any:
                types = {} if type_separator is None else {"token_type_ids": token_types(input_ids, type_separator)}
                return plain(input_ids=input_ids, attention_mask=attention_mask, **types).logits

            return run
        graph = EncoderGraph(model, type_separator).eval().to(self._device, self._dtype)
        return pack_linear_layers(graph) if self._device == "cpu" else graph

    def logits(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Run the model without gradients, on one core of the CPU or on the CUDA device."""
        torch = self._torch
        if self._device == "cpu" and not hasattr(self._local, "single"):
            # One thread for each caller: threads that share a batch wait for the slowest one, and on a busy core that is forever.
            torch.set_num_threads(1)
            self._local.single = True
        with torch.inference_mode():
            ids, mask = self._moved(input_ids), self._moved(attention_mask)
            found: np.ndarray = self._model(ids, mask).float().cpu().numpy()
            return found

    def _moved(self, array: np.ndarray) -> Any:
        tensor = self._torch.from_numpy(array)
        return tensor if self._device == "cpu" else tensor.pin_memory().to(self._device, non_blocking=True)


def load_classifier(folder: ModelFolder) -> Any:
    """Load a model folder's weights into transformers' module, in fp32 and evaluation mode.

    Raises:
        NetralError: The weights cannot be read or do not fit config.json.
    """
    import torch
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            folder.path,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise NetralError(
            f"{folder.path}: the weights cannot be loaded ({error})", "train the model again, or copy the folder again"
        ) from None
    # What is missing would be filled with random numbers, differently in every run.
    unfit = sorted(map(str, [*loading["missing_keys"], *loading["mismatched_keys"], *loading["unexpected_keys"]]))
    if unfit:
        raise NetralError(f"{folder.path}: the weights do not fit config.json ({unfit[0]})", "copy the whole folder again, or train again")
    return model.eval()
