"""The systems that are compared: what people run without netral, and netral's Predictor on each backend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from inference.backends import PRECISIONS, Variant, make_backend, usable_variants
from inference.backends.onnx import ONNX_FILES
from inference.host import allowed_cores
from inference.predictor import Predictor
from netral.model_folder import open_model_folder

PIPELINE = "transformers pipeline, batch size 1"
SORTED_TORCH = "torch loop, sorted by length"
NETRAL = "netral "  # and the variant
BATCH = 32
Forward = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model lies.

    Attributes:
        model: The model folder.
        variants: What netral runs it in.
        raw: A folder of exports that passed no gate, for a model of random weights; None: the exports in the model folder.
        onnx: The model as ONNX in fp32, for the onnxruntime loop; None where there is none.
    """

    model: Path
    variants: tuple[Variant, ...]
    raw: Path | None = None
    onnx: Path | None = None

    @classmethod
    def of(cls, model: str, raw: str) -> "Place":
        """Find the exports of a model folder, or take all of ``raw`` where it is not empty."""
        if raw:
            # fp16 is for CUDA devices.
            every = [Variant(name, each) for name in ("torch", "onnx", "openvino") for each in PRECISIONS[name] if each != "fp16"]
            there = [v for v in every if find_spec({"onnx": "onnxruntime"}.get(v.backend, v.backend))]
            return cls(Path(model), tuple(there), Path(raw), Path(raw) / ONNX_FILES["fp32"])
        found = usable_variants(open_model_folder(Path(model)), "auto", "auto", "cpu")
        onnx = Path(model) / "exports" / "onnx-fp32" / ONNX_FILES["fp32"]
        return cls(Path(model), tuple(found), None, onnx if onnx.is_file() else None)


@dataclass(frozen=True, slots=True)
class System:
    """A loaded system.

    Attributes:
        precision: What it computes in.
        label: Labels sentences; what is timed.
        probabilities: The same, as probabilities before calibration, shape (sentences, labels).
    """

    precision: str
    label: Callable[[list[str]], object]
    probabilities: Callable[[list[str]], np.ndarray]


def loaders(place: Place) -> dict[str, Callable[[], System]]:
    """Return a function that loads it for each system that can run here, by name."""
    found: dict[str, Callable[[], System]] = {PIPELINE: partial(_pipeline, place, 1)}
    for size in (8, 32, 64):
        found[f"transformers pipeline, batch size {size}"] = partial(_pipeline, place, size)
    if find_spec("datasets"):
        found[f"transformers pipeline, KeyDataset, batch size {BATCH}"] = partial(_pipeline, place, BATCH, dataset=True)
    found[SORTED_TORCH] = partial(_torch_loop, place)
    if find_spec("sentence_transformers"):
        found["sentence-transformers CrossEncoder"] = partial(_sentence_transformers, place)
    if place.onnx and find_spec("onnxruntime"):
        found["onnxruntime loop, sorted by length"] = partial(_onnxruntime_loop, place)
    for variant in place.variants:
        found[f"{NETRAL}{variant}"] = partial(_ours, place, variant)
    return found


def use_all_cores() -> None:
    """Give torch its default in the calling thread, all cores; netral's own threads keep to one each."""
    import torch

    torch.set_num_threads(allowed_cores())


@cache
def plain_pipeline(folder: Path) -> Any:
    """Load a model folder the way that plain transformers does, without netral."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype="float32")
    return pipeline(
        "text-classification",
        model=model,
        tokenizer=AutoTokenizer.from_pretrained(folder),
        top_k=None,
        function_to_apply="sigmoid",
        truncation=True,
    )


def _pipeline(place: Place, batch_size: int, dataset: bool = False) -> System:
    peer = plain_pipeline(place.model)
    names = open_model_folder(place.model).labels

    def label(sentences: list[str]) -> np.ndarray:
        use_all_cores()
        given: Any = sentences
        if dataset:
            from datasets import Dataset
            from transformers.pipelines.pt_utils import KeyDataset

            given = KeyDataset(Dataset.from_dict({"text": sentences}), "text")
        found = [{each["label"]: each["score"] for each in scores} for scores in peer(given, batch_size=batch_size)]
        return np.array([[scores[name] for name in names] for scores in found])

    return System("fp32", label, label)


def _sorted_loop(tokenizer: Any, forward: Forward) -> System:
    """Make the loop that a careful user writes: sorted by length, padded to the longest of each batch."""

    def label(sentences: list[str]) -> np.ndarray:
        rows = tokenizer(sentences, truncation=True)["input_ids"]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        parts = [order[begin : begin + BATCH] for begin in range(0, len(order), BATCH)]
        found = []
        for part in parts:
            batch = tokenizer.pad({"input_ids": [rows[i] for i in part]}, return_tensors="np")
            found.append(forward(batch["input_ids"].astype(np.int64), batch["attention_mask"].astype(np.int64)))
        return sigmoid(np.concatenate(found)[np.argsort(order)])

    return System("fp32", label, label)


def _torch_loop(place: Place) -> System:
    import torch

    peer = plain_pipeline(place.model)

    def forward(input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        use_all_cores()
        with torch.inference_mode():
            found = peer.model(input_ids=torch.from_numpy(input_ids), attention_mask=torch.from_numpy(attention_mask))
        return np.asarray(found.logits.numpy())

    return _sorted_loop(peer.tokenizer, forward)


def _onnxruntime_loop(place: Place) -> System:
    import onnxruntime
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = allowed_cores()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(place.onnx, options, providers=["CPUExecutionProvider"])

    def forward(input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(["logits"], {"input_ids": input_ids, "attention_mask": attention_mask})[0])

    return _sorted_loop(AutoTokenizer.from_pretrained(place.model), forward)


def _sentence_transformers(place: Place) -> System:
    import torch
    from sentence_transformers import CrossEncoder
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    longest = open_model_folder(place.model).serving.max_length
    batching = {"batch_size": BATCH, "show_progress_bar": False}
    peer = CrossEncoder(str(place.model), device="cpu", max_length=longest, model_kwargs={"dtype": torch.float32})

    def label(sentences: list[str]) -> np.ndarray:
        use_all_cores()
        # `predict` takes pairs of texts only; this is the loop behind it, which takes texts too (sentence-transformers 6.2.0).
        found = peer._inference(sentences, prompt=None, activation_fn=torch.nn.Sigmoid(), apply_softmax=False, **batching)
        return np.asarray(found.numpy())

    return System("fp32", label, label)


def _ours(place: Place, variant: Variant) -> System:
    if place.raw:
        # Scores of random weights lie at 0.5, where the rounding of a third of them is in doubt within the noise of fp32 and is settled
        # by computing them alone; those of a trained model lie near 0. So the logits are timed, without calibration and settling.
        backend = make_backend(open_model_folder(place.model), variant, "cpu", allowed_cores(), export=place.raw)
        predictor = Predictor(place.model, backend=backend)
        label: Callable[[list[str]], object] = predictor.logits
    else:
        predictor = Predictor(place.model, backend=variant.backend, precision=variant.precision, device="cpu")
        label = partial(_predict_anew, predictor)
    return System(variant.precision, label, lambda sentences: sigmoid(predictor.logits(sentences)))


def _predict_anew(predictor: Predictor, sentences: Sequence[str]) -> object:
    predictor._remembered.clear()  # or else every round after the first would find its scores there
    return predictor.predict(sentences)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return probabilities."""
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))
