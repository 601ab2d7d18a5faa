"""How fast this machine multiplies matrices, and how many products a model needs: both sides of "share of the peak"."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from inference.bench.common import Table, interleaved
from inference.host import allowed_cores

# Rows and features of square layers, six in a row: the shipped model's and IndoBERT-base's products lie between them.
_SHAPES = ((1024, 768), (1024, 1024), (2048, 2048))
_LAYERS = 6
_PRECISIONS = ("fp32", "bf16", "int8")


def gemm_peaks(rounds: int) -> dict[str, float]:
    """Measure operations a second (a multiplication and an addition are two) on all allowed cores; the best library and shape counts.

    A precision that no installed library has is left out.
    """
    works: dict[str, Callable[[], object]] = {}
    for rows, size in _SHAPES:
        for precision in _PRECISIONS:
            if precision != "int8":
                works[f"{precision} torch {rows} {size}"] = _torch_products(rows, size, precision)
            if find_spec("openvino"):
                works[f"{precision} openvino {rows} {size}"] = _openvino_products(rows, size, precision)
    best: dict[str, float] = {}
    for name, seconds in interleaved(works, rounds).items():
        precision, _, rows_text, size_text = name.split()
        rate = 2 * int(rows_text) * int(size_text) ** 2 * _LAYERS / seconds
        best[precision] = max(best.get(precision, 0.0), rate)
    return best


def _torch_products(rows: int, size: int, precision: str) -> Callable[[], object]:
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    layers = torch.nn.Sequential(*(torch.nn.Linear(size, size) for _ in range(_LAYERS))).to(dtype).eval()
    given = torch.randn(rows, size).to(dtype)

    def work() -> object:
        torch.set_num_threads(allowed_cores())
        with torch.inference_mode():
            return layers(given)

    return work


def _openvino_products(rows: int, size: int, precision: str) -> Callable[[], object]:
    import openvino
    from openvino import opset13

    random = np.random.default_rng(0)
    given = opset13.parameter([rows, size], np.float32)
    node = given
    for _ in range(_LAYERS):
        weight = opset13.constant((random.standard_normal((size, size)) / size**0.5).astype(np.float32))
        if precision == "int8":
            node, weight = _rounded(opset13, node, 4.0, 256), _rounded(opset13, weight, 0.2, 255)
        node = opset13.matmul(node, weight, False, True)
    hint = "bf16" if precision == "bf16" else "f32"
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": allowed_cores(), "NUM_STREAMS": 1}
    request = openvino.Core().compile_model(openvino.Model([node], [given]), "CPU", settings).create_infer_request()
    return partial(request.infer, [random.standard_normal((rows, size)).astype(np.float32)])


def _rounded(opset: Any, node: Any, bound: float, levels: int) -> Any:
    low, high = np.float32(-bound), np.float32(bound)
    return opset.fake_quantize(node, low, high, low, high, levels)


def peak_table(peaks: dict[str, float]) -> Table:
    """Show the peaks."""
    return [["matrix products on all cores", "10^12 operations/s"], *([name, f"{rate / 1e12:.2f}"] for name, rate in peaks.items())]


def encoder_operations(model: Path, lengths: Iterable[int]) -> float:
    """Count the operations of a model's matrix products on sentences of these token counts.

    Counted is the standard model on the tokens without padding: what padding costs lowers a system's share of the peak, and work that
    a system spares (the last layer of all tokens but the first) raises it.
    """
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    # Query, key, value and output; the two products of the feed-forward block; queries with keys and their weights with values.
    per_token, per_pair = 2 * (4 * hidden * hidden + 2 * hidden * inner), 4 * hidden
    return float(sum(layers * (per_token * n + per_pair * n * n) + 2 * hidden * hidden for n in lengths))
