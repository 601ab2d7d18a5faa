"""Static int8: integer products with ranges measured once on real sentences.

Static and not dynamic, because a range that is measured in each batch makes a sentence's score depend on its neighbours.
"""

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from inference.batching import padded_length
from inference.tokenise import Text, Tokeniser
from netral.model_folder import ModelFolder

# As many as nncf takes of a data set by default; with them the embedded model passed the gate.
CALIBRATION_SENTENCES = 300
Rows = list[dict[str, np.ndarray]]


def calibration_rows(folder: ModelFolder, sentences: Sequence[Text]) -> Rows:
    """Tokenise evenly spread sentences, each a batch of its own with the padding that it has in a run."""
    tokeniser = Tokeniser(folder)
    step = max(1, len(sentences) // CALIBRATION_SENTENCES)
    rows = []
    for ids, *_ in tokeniser.rows([tokeniser.key(s) for s in sentences[::step][:CALIBRATION_SENTENCES]])[0]:
        ids = ids[: folder.serving.max_length // 8 * 8]
        length = padded_length(len(ids))
        input_ids = np.full((1, length), folder.pad_id, dtype=np.int64)
        attention_mask = np.zeros((1, length), dtype=np.int64)
        input_ids[0, : len(ids)], attention_mask[0, : len(ids)] = ids, 1
        rows.append({"input_ids": input_ids, "attention_mask": attention_mask})
    return rows


def quantise(source: Path, target: Path, rows: Rows, keep_input_size: int | None) -> None:
    """Quantise an ONNX file with nncf's recipe for transformers: smooth quantisation, weights per channel, activations per tensor.

    Args:
        source: The ONNX file in fp32.
        target: Where to write; the suffix decides the engine: ``.onnx`` or OpenVINO's ``.xml``.
        rows: Inputs to measure ranges on.
        keep_input_size: Products whose input has this many features stay in fp32.
    """
    import logging

    # nncf reports its use over the network unless it believes to run in a test of its own.
    os.environ.setdefault("NNCF_CI", "1")
    import nncf
    import onnx

    nncf.set_log_level(logging.ERROR)
    model: Any = onnx.load(source)
    shapes = {weight.name: weight.dims for weight in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in shapes]
    kept = [node.name for node in products if shapes[node.input[1]][0] == keep_input_size]
    if target.suffix == ".xml":
        import openvino

        model = openvino.Core().read_model(source)
    with redirect_stdout(io.StringIO()):  # its progress bars cannot be switched off
        quantised = nncf.quantize(
            model,
            nncf.Dataset(rows),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(rows),
            ignored_scope=nncf.IgnoredScope(names=kept) if kept else None,
        )
    if target.suffix == ".xml":
        openvino.save_model(quantised, target, compress_to_fp16=False)
    else:
        onnx.save(quantised, target)
