"""Static int8: integer products with ranges measured once on real sentences.

Static and not dynamic, because a range that is measured in each batch makes a sentence's score depend on its neighbours.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from inference.batching import padded_length
from netral.model_folder import ModelFolder
from netral.text import model_text

# Ranges of the embedded model's activations stop moving at about this many sentences.
CALIBRATION_SENTENCES = 300
Rows = list[dict[str, np.ndarray]]


def calibration_rows(folder: ModelFolder, sentences: Sequence[str]) -> Rows:
    """Tokenise evenly spread sentences, each a batch of its own with the padding that it has in a run."""
    tokenizer = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    step = max(1, len(sentences) // CALIBRATION_SENTENCES)
    rows = []
    for encoding in tokenizer.encode_batch([model_text(s) for s in sentences[::step][:CALIBRATION_SENTENCES]]):
        ids = encoding.ids[: folder.serving.max_length // 8 * 8]
        length = padded_length(len(ids))
        input_ids = np.full((1, length), folder.pad_id, dtype=np.int64)
        attention_mask = np.zeros((1, length), dtype=np.int64)
        input_ids[0, : len(ids)], attention_mask[0, : len(ids)] = ids, 1
        rows.append({"input_ids": input_ids, "attention_mask": attention_mask})
    return rows


def quantise_onnx(source: Path, target: Path, rows: Rows, keep_input_size: int | None) -> None:
    """Quantise the products with weights of an ONNX file; those whose input has ``keep_input_size`` features stay in fp32."""
    import logging

    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rows = iter(rows)

        def get_next(self) -> Any:
            return next(self._rows, None)

    graph = onnx.load(source).graph
    shapes = {weight.name: weight.dims for weight in graph.initializer}
    products = [node for node in graph.node if node.op_type == "MatMul" and node.input[1] in shapes]
    logging.getLogger().setLevel(logging.ERROR)  # the library advises on the root logger
    quantize_static(
        source,
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_quantize=[node.name for node in products if shapes[node.input[1]][0] != keep_input_size],
    )


def quantise_openvino(source: Path, target: Path, rows: Rows, keep_input_size: int | None) -> None:
    """Quantise an ONNX file for OpenVINO with nncf's recipe for transformers (smooth quantisation, per-channel weights)."""
    import logging

    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    model = openvino.Core().read_model(source)
    products = [op for op in model.get_ops() if op.get_type_name() == "MatMul"]
    kept = [op.get_friendly_name() for op in products if str(op.input(0).get_partial_shape()[-1]) == str(keep_input_size)]
    quantised = nncf.quantize(
        model,
        nncf.Dataset(rows),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(rows),
        ignored_scope=nncf.IgnoredScope(names=kept) if kept else None,
    )
    openvino.save_model(quantised, target, compress_to_fp16=False)
