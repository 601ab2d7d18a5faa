"""The programs that turn token ids into logits, behind one protocol."""

from typing import Any, Protocol

import numpy as np

from netral.errors import NetralError
from netral.model_folder import ModelFolder

BACKENDS = ("auto", "torch", "fake")
DEVICES = ("auto", "cpu", "cuda")


class Backend(Protocol):
    """Scores a batch of tokenised sentences."""

    name: str

    def logits(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Return logits of shape (batch, labels) in float32 for int64 arrays of shape (batch, length)."""
        ...


def make_backend(name: str, folder: ModelFolder, device: str) -> Backend:
    """Load a model into the named backend.

    Raises:
        NetralError: The backend or device is unknown or not available here.
    """
    if name not in BACKENDS:
        raise NetralError(f"--backend {name}: unknown", f"choose one of {', '.join(BACKENDS)}")
    if device not in DEVICES:
        raise NetralError(f"--device {device}: unknown", f"choose one of {', '.join(DEVICES)}")
    return FakeBackend(folder) if name == "fake" else TorchBackend(folder, device)


class FakeBackend:
    """Logits made from the token ids alone: for testing jobs around a model without its cost.

    Deterministic, different from sentence to sentence, independent of padding; means nothing.
    """

    name = "fake"

    def __init__(self, folder: ModelFolder) -> None:
        """Take over the number of labels."""
        self._labels = len(folder.labels)

    def logits(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Return pseudo-random logits between -6 and 2."""
        weights = np.arange(1, input_ids.shape[1] + 1, dtype=np.int64) * 2654435761 % 1000003
        sums = (input_ids * attention_mask * weights).sum(axis=1)
        salted = sums[:, None] * np.array([7919 * (k + 1) + 104729 for k in range(self._labels)], dtype=np.int64)
        return np.asarray(salted % 8009 / 1001 - 6, dtype=np.float32)


class TorchBackend:
    """PyTorch in float32, on the CPU or one CUDA device."""

    name = "torch"

    def __init__(self, folder: ModelFolder, device: str) -> None:
        """Load the weights (safetensors only, no remote code).

        Raises:
            NetralError: CUDA was asked for and is not there, or the weights do not fit the configuration.
        """
        import torch
        from transformers import AutoModelForSequenceClassification
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        if device == "cuda" and not torch.cuda.is_available():
            raise NetralError("--device cuda: torch sees no CUDA device", "use --device cpu, or install a CUDA build of torch")
        self._torch = torch
        self._device = "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
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
            raise NetralError(
                f"{folder.path}: the weights do not fit config.json ({unfit[0]})", "copy the whole folder again, or train again"
            )
        self._model: Any = model.to(self._device).eval()

    def logits(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        """Run the model without gradients."""
        torch = self._torch
        with torch.inference_mode():
            ids = torch.from_numpy(input_ids).to(self._device)
            mask = torch.from_numpy(attention_mask).to(self._device)
            result: np.ndarray = self._model(input_ids=ids, attention_mask=mask).logits.float().cpu().numpy()
            return result
