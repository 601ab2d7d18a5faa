"""The two models that are measured: the shipped one with its exports, and one of IndoBERT-base's shape with random weights."""

import json
import shutil
import sys
from pathlib import Path

from inference.backends import PRECISIONS
from inference.backends.onnx import ONNX_FILES
from inference.backends.openvino import OPENVINO_FILES
from inference.bench.child import netral
from inference.bench.common import GOLD, ROOT, gold_sentences
from inference.bench.systems import Place
from inference.predictor import DEFAULT_MODEL
from netral.errors import NetralError
from netral.model_folder import open_model_folder

# IndoBERT-base (indobenchmark/indobert-base-p2). Its vocabulary is left out: a look-up costs the same in a table of any length.
BASE_SHAPE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def exported_model(model: Path, work: Path) -> Place:
    """Return a model folder with its exports; where it has none, a copy in ``work`` with all that pass the gate here."""
    place = Place.of(str(model), "")
    if len(place.variants) > 1:
        return place
    from inference.exports.export import export

    copy, data = work / "model", work / "data"
    _say(f"bench: {model} has no exports, making them; this takes minutes")
    netral("prepare", str(GOLD / "articles.jsonl"), "-c", str(ROOT / "configs/recipes/mini.yaml"), "--out", str(data))
    shutil.copytree(model, copy)
    for backend in ("torch", "onnx", "openvino"):
        for precision in PRECISIONS[backend]:
            if (backend, precision) == ("torch", "fp32") or precision == "fp16":  # fp16 is for CUDA devices
                continue
            try:
                export(copy, backend, precision, data, say=_say)
            except NetralError as error:
                _say(f"bench: left out: {error}")
    return Place.of(str(copy), "")


def base_model(work: Path) -> Place:
    """Make a model folder of IndoBERT-base's shape with random weights, the shipped tokenizer and exports that no gate has seen."""
    folder, exports = work / "base", work / "base-exports"
    _random_weights(folder)
    exports.mkdir()
    try:
        _export_ungated(folder, exports)
    except ImportError as error:
        _say(f"bench: base shape in torch alone: {error}")
    return Place.of(str(folder), str(exports))


def _random_weights(folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, BertConfig

    torch.manual_seed(0)
    settings = json.loads((DEFAULT_MODEL / "config.json").read_text(encoding="utf-8")) | BASE_SHAPE
    AutoModelForSequenceClassification.from_config(BertConfig(**settings), dtype=torch.float32).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "decision.json", "text.json"):
        shutil.copyfile(DEFAULT_MODEL / name, folder / name)


def _export_ungated(folder: Path, exports: Path) -> None:
    import openvino

    from inference.exports.export import write_onnx
    from inference.exports.quantise import calibration_rows, quantise

    checked = open_model_folder(folder)
    onnx = exports / ONNX_FILES["fp32"]
    _say("bench: exporting the base shape; this takes minutes")
    write_onnx(checked, onnx)
    openvino.save_model(openvino.Core().read_model(onnx), exports / OPENVINO_FILES["fp32"], compress_to_fp16=False)
    rows = calibration_rows(checked, gold_sentences(32))  # speed does not depend on the ranges, so few will do
    for files in (OPENVINO_FILES, ONNX_FILES):
        quantise(onnx, exports / files["int8"], rows, None)
