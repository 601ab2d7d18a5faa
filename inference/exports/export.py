"""Writes a model for another backend or precision into its folder, if the parity gate lets it pass."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from inference.backends import PRECISIONS, Variant, make_backend
from inference.backends.onnx import ONNX_FILES
from inference.backends.openvino import OPENVINO_FILES
from inference.deciding import make_decider
from inference.exports.parity import EXPORTS, MAX_F1_LOSS, PARITY_FILE, Flip, Parity, f1_pairs, read_parity
from inference.exports.quantise import calibration_rows, quantise
from inference.host import allowed_cores
from inference.predictor import Predictor
from inference.scoring import Settling
from inference.tokenise import Text
from netral.errors import NetralError
from netral.io.paths import replacing_folder
from netral.model_folder import ModelFolder, open_model_folder
from netral.provenance import file_digest, libraries, write_json

# What int8 leaves in fp32, tried in this order until the gate is passed. `down` is the second product of each feed-forward block:
# its input is where BERT's outlier activations live (Bondarenko et al. 2021, "Understanding and Overcoming the Challenges of
# Efficient Transformer Quantization").
KEEPS: tuple[tuple[str, ...], ...] = ((), ("down",))
# The band around a threshold in which fp32 decides is this much wider than the largest change of a score seen on halves of training
# sentences: the model is as unsure of a half as of a sentence it never saw, and unsure scores move most. It needs no labels.
BAND_SENTENCES = 600
BAND_FACTOR = 1.25
# Scores this close to a threshold, as calibrated logits, count for the band: 0.05 and 0.95 around a threshold of 0.5.
_UNSURE = 3.0
_NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime", "nncf"), "openvino": ("onnx", "onnxscript", "openvino", "nncf"), "torch": ()}


@dataclass(frozen=True, slots=True)
class _Labelled:
    """A split of a prepared data set."""

    path: Path
    ids: list[str]
    sentences: list[Text]
    truth: np.ndarray


def export(model: Path, backend: str, precision: str, data: Path, *, out: Path | None = None, say: Callable[[str], None] = print) -> Parity:
    """Export a model folder for a backend and precision, and hold its decisions against torch in fp32.

    Args:
        model: A folder written by `netral train`.
        backend: ``torch``, ``onnx`` or ``openvino``.
        precision: One of the backend's precisions. For torch nothing is converted: only the gate is run.
        data: A data set made by `netral prepare`. Its validation split is what the gate compares on; int8 is calibrated on train.
        out: A folder to copy the model to and put the export in; None puts it into ``model``.
        say: Called with each line of progress.

    Raises:
        NetralError: The backend is not installed, the model has no inference graph, or the gate was not passed; then nothing is kept.
    """
    variant = _variant(backend, precision)
    folder = open_model_folder(model)
    held, training = _split(data, "validation", folder), _split(data, "train", folder)
    reference = _Reference(folder, held, training)
    tries: list[Parity] = []
    for keep in KEEPS if precision == "int8" else ((),):
        with TemporaryDirectory(prefix="netral-export-") as work:
            made = Path(work)
            say(f"export {variant}: converting" + (f", {', '.join(keep)} kept in fp32" if keep else ""))
            recipe = _convert(folder, variant, training, made, keep)
            parity = _compare(folder, variant, reference, made, recipe)
            if parity.passed:
                _publish(folder, variant, parity, made, out)
                return parity
            tries.append(parity)
            say(f"export {variant}: refused: {'; '.join(parity.problems)}")
    raise _refused(variant, folder, tries)


def _variant(backend: str, precision: str) -> Variant:
    if backend not in _NEEDS or precision not in PRECISIONS.get(backend, ()):
        known = "; ".join(f"{name}: {', '.join(PRECISIONS[name])}" for name in _NEEDS)
        raise NetralError(f"--backend {backend} --precision {precision}: no such export", f"choose one of {known}")
    if (backend, precision) == ("torch", "fp32"):
        raise NetralError("torch in fp32 needs no export", "it is what the others are compared with; label with --backend torch")
    from importlib.util import find_spec

    missing = [name for name in _NEEDS[backend] if find_spec(name) is None]
    if missing:
        raise NetralError(f"--backend {backend}: {', '.join(missing)} not installed", f"pip install 'netral[{backend}]'")
    return Variant(backend, precision)


def _split(data: Path, split: str, folder: ModelFolder) -> _Labelled:
    path = data / f"{split}.parquet"
    if not path.is_file():
        raise NetralError(
            f"{data}: no prepared data set, {path.name} is missing", "make it with `netral prepare INPUT... --out DIR`, pass it with --data"
        )
    second = ["sentence_2"] if folder.serving.pairs else []
    if second and second[0] not in pq.read_schema(path).names:
        raise NetralError(f"{path}: holds no pairs, as the model reads", "pass the data set that it was trained on with --data")
    table = pq.read_table(path, columns=["sentence_id", "sentence", *second, "labels"]).to_pydict()
    if not table["sentence"]:
        raise NetralError(f"{path}: the split is empty", "label more articles, or change the fractions under `prepare`")
    truth = np.array([[label in names for label in folder.labels] for names in table["labels"]])
    texts = list(zip(table["sentence"], table["sentence_2"], strict=True)) if second else table["sentence"]
    return _Labelled(path, table["sentence_id"], texts, truth)


class _Reference:
    """What torch in fp32 says of the validation split, and the logits of a part of the training split."""

    def __init__(self, folder: ModelFolder, held: _Labelled, training: _Labelled) -> None:
        self.held = held
        self.sample = [_half(s) for s in training.sentences[:: max(1, len(training.sentences) // BAND_SENTENCES)]]
        with Predictor(folder.path, backend="torch", precision="fp32", device="cpu") as predictor:
            self.scores, self.given = _scored(predictor, held.sentences)
            self.logits = predictor.logits(self.sample).astype(np.float64)
            self.shifts = predictor.shifts(self.sample)
        self.margins = make_decider(folder.decision).margins
        self.unsure = np.abs(self.margins(self.logits + self.shifts)) < _UNSURE

    def band(self, logits: np.ndarray) -> float:
        """Return how close to a threshold a score of a reduced precision is not to be trusted, as a calibrated logit."""
        moved = np.abs(self.margins(logits.astype(np.float64) + self.shifts) - self.margins(self.logits + self.shifts))
        return round(BAND_FACTOR * float((moved[self.unsure] if self.unsure.any() else moved).max()), 3)


def _half(sentence: Text) -> Text:
    if not isinstance(sentence, str):
        return _cut_in_half(sentence[0]), _cut_in_half(sentence[1])
    return _cut_in_half(sentence)


def _cut_in_half(sentence: str) -> str:
    words = sentence.split()
    return " ".join(words[: -(-len(words) // 2)])


def _shown(sentence: Text) -> str:
    return sentence if isinstance(sentence, str) else " | ".join(sentence)


def _scored(predictor: Predictor, sentences: Sequence[Text]) -> tuple[np.ndarray, np.ndarray]:
    found = predictor.predict(sentences)
    scores = np.array([[p.scores[label] for label in predictor.labels] for p in found])
    return scores, np.array([[label in p.labels for label in predictor.labels] for p in found])


def _convert(folder: ModelFolder, variant: Variant, training: _Labelled, work: Path, keep: tuple[str, ...]) -> dict[str, Any]:
    """Write the export's files into ``work`` and return how they were made."""
    if variant.backend == "torch":
        return {}
    onnx = work / ONNX_FILES["fp32"]
    config = write_onnx(folder, onnx)
    recipe: dict[str, Any] = {"graph": "inference/backends/encoder_graph.py"}
    if variant.precision == "int8":
        rows = calibration_rows(folder, training.sentences)
        recipe |= {"calibrated_on": f"{len(rows)} sentences of {training.path.name}", "kept_in_fp32": list(keep), "weights": "per channel"}
        size = config.intermediate_size if "down" in keep else None
        files = ONNX_FILES if variant.backend == "onnx" else OPENVINO_FILES
        quantise(onnx, work / files["int8"], rows, size)
    if variant.backend == "openvino":
        import openvino

        openvino.save_model(openvino.Core().read_model(onnx), work / OPENVINO_FILES["fp32"], compress_to_fp16=False)
        onnx.unlink()
    return recipe


def write_onnx(folder: ModelFolder, path: Path) -> Any:
    """Write a model's inference graph as ONNX in fp32 with free batch size and length; return its transformers configuration.

    Raises:
        NetralError: The architecture has no inference graph.
    """
    import logging
    import warnings

    import torch

    from inference.backends.encoder_graph import EncoderGraph, supports
    from inference.backends.torch import load_classifier

    model = load_classifier(folder)
    if not supports(model.config):
        raise NetralError(
            f"{folder.path}: no inference graph for the architecture {model.config.model_type}",
            "exports are made for BERT and ALBERT; label with --backend torch",
        )
    ids = torch.ones(2, 16, dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[0, 9:] = 0
    longest = int(model.config.max_position_embeddings)
    shape = {0: torch.export.Dim("batch", min=1, max=65536), 1: torch.export.Dim("length", min=2, max=longest)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            EncoderGraph(model, folder.serving.type_separator).eval(),
            (ids, mask),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes={"input_ids": shape, "attention_mask": shape},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return model.config


def _compare(folder: ModelFolder, variant: Variant, reference: _Reference, work: Path, recipe: dict[str, Any]) -> Parity:
    held = reference.held
    backend = make_backend(folder, variant, "cpu", allowed_cores(), export=work)
    settling = None
    if variant.precision != "fp32":
        with Predictor(folder.path, backend=backend) as predictor:
            band = reference.band(predictor.logits(reference.sample))
        exact = Variant(variant.backend, "fp32")
        settling = Settling(band, lambda: make_backend(folder, exact, "cpu", allowed_cores(), export=work))
    with Predictor(folder.path, backend=backend, settling=settling) as predictor:
        scores, given = _scored(predictor, held.sentences)
        settled = predictor.stats.settled
    flips = [
        Flip(
            sentence_id=held.ids[i],
            sentence=_shown(held.sentences[i]),
            label=folder.labels[k],
            before=float(reference.scores[i, k]),
            after=float(scores[i, k]),
            threshold=folder.decision.thresholds.get(folder.labels[k]),
        )
        for i, k in np.argwhere(given != reference.given).tolist()
    ]
    return Parity(
        variant=str(variant),
        model=folder.fingerprint,
        data=held.path.name,
        sentences=len(held.sentences),
        band=settling.band if settling else 0.0,
        settled=settled,
        flipped_share=round(len(flips) / given.size, 6),
        f1=f1_pairs(reference.given, given, held.truth, folder.labels),
        largest_probability_difference=round(float(np.abs(scores - reference.scores).max()), 3),
        flips=flips,
        files={path.name: file_digest(path) for path in sorted(work.iterdir())},
        recipe=recipe,
        libraries=libraries(),
    )


def _publish(folder: ModelFolder, variant: Variant, parity: Parity, work: Path, out: Path | None) -> None:
    target = folder.path
    if out is not None:
        if not out.exists():
            with replacing_folder(out) as beside:
                shutil.copytree(folder.path, beside, dirs_exist_ok=True)
        target = out
        if open_model_folder(out).fingerprint != folder.fingerprint:
            raise NetralError(f"{out}: holds another model", "choose another --out")
    with replacing_folder(target / EXPORTS / str(variant)) as beside:
        for path in sorted(work.iterdir()):
            shutil.copyfile(path, beside / path.name)
        write_json(beside / PARITY_FILE, parity.model_dump())
    if read_parity(open_model_folder(target), str(variant)) is None:
        raise NetralError(f"{target}: the export cannot be read back", "check the disk and export again")


def _refused(variant: Variant, folder: ModelFolder, tries: Sequence[Parity]) -> NetralError:
    best = min(tries, key=lambda parity: parity.flipped_share)
    lines = [
        f"{variant} fails the parity gate on {best.sentences} sentences of {best.data}, so nothing was kept: {'; '.join(best.problems)}"
    ]
    for flip in best.flips[:20]:
        edge = "" if flip.threshold is None else f" (threshold {flip.threshold:.3f})"
        lines.append(f"  {flip.label} {flip.before:.3f} -> {flip.after:.3f}{edge} {flip.sentence_id}: {flip.sentence}")
    if len(best.flips) > 20:
        lines.append(f"  and {len(best.flips) - 20} more")
    other = {
        "onnx": "--backend openvino --precision int8 (other calibration), or --precision fp32",
        "openvino": "--precision bf16 where the processor has it, or --backend onnx --precision int8",
        "torch": "--precision fp32, which needs no export",
    }[variant.backend]
    if all(pair is None or pair[0] - pair[1] <= MAX_F1_LOSS for pair in best.f1.values()):
        other += "; F1 holds, so more validation sentences near the thresholds may settle it"
    return NetralError("\n".join(lines), f"try {other}")
