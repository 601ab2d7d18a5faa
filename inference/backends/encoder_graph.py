"""The forward pass of BERT and ALBERT classifiers written for inference, in PyTorch.

The same arithmetic as transformers' own modules (a test holds the logits against them) with less work: query, key and value are one
matrix product, position and type embeddings one table, and the last layer is computed for the first token only, because the classifier
reads nothing else. Exports trace this module: its graph holds only what the engines fuse well.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# How transformers names the two forms of GELU that BERT and ALBERT checkpoints use, and torch's name for each.
_GELU = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu_python": "none"}


def supports(config: Any) -> bool:
    """Tell whether a transformers configuration is one that this graph can hold."""
    return (
        config.model_type in ("bert", "albert")
        and config.hidden_act in _GELU
        and getattr(config, "position_embedding_type", None) in ("absolute", None)
        and getattr(config, "inner_group_num", 1) == 1
    )


class _Layer(nn.Module):
    """One encoder layer: attention and feed-forward, each added to its input and normalised."""

    def __init__(self, attention: dict[str, Any], feed_forward: tuple[nn.Module, nn.Module, nn.Module], heads: int, gelu: str) -> None:
        super().__init__()
        hidden = attention["query"].in_features
        self.heads, self.head_size, self.gelu = heads, hidden // heads, gelu
        # The division by the square root of the head size goes into the weights of the query.
        scale = 1 / math.sqrt(self.head_size)
        parts = [attention["query"], attention["key"], attention["value"]]
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.qkv.weight.data = torch.cat([part.weight.data * factor for part, factor in zip(parts, (scale, 1, 1), strict=True)])
        self.qkv.bias.data = torch.cat([part.bias.data * factor for part, factor in zip(parts, (scale, 1, 1), strict=True)])
        self.out, self.attention_norm = attention["out"], attention["norm"]
        self.up, self.down, self.norm = feed_forward

    def forward(self, x: Tensor, mask: Tensor, first_only: bool) -> Tensor:
        """Return (batch, length, hidden); with ``first_only`` (batch, 1, hidden) for the first token."""
        batch, length = x.shape[0], x.shape[1]
        query, key, value = self.qkv(x).view(batch, length, 3, self.heads, self.head_size).permute(2, 0, 3, 1, 4).unbind(0)
        if first_only:
            query, x = query[:, :, :1], x[:, :1]
        if torch.onnx.is_in_onnx_export():
            heads = torch.softmax(query @ key.transpose(-1, -2) + mask, dim=-1) @ value
        else:
            heads = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
        x = self.attention_norm(x + self.out(heads.transpose(1, 2).reshape(batch, -1, self.heads * self.head_size)))
        normed: Tensor = self.norm(x + self.down(F.gelu(self.up(x), approximate=self.gelu)))
        return normed


def _bert_layers(encoder: Any, config: Any) -> list[_Layer]:
    gelu, heads = _GELU[config.hidden_act], config.num_attention_heads
    return [
        _Layer(
            {
                **{name: getattr(layer.attention.self, name) for name in ("query", "key", "value")},
                "out": layer.attention.output.dense,
                "norm": layer.attention.output.LayerNorm,
            },
            (layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm),
            heads,
            gelu,
        )
        for layer in encoder.layer
    ]


def _albert_layers(encoder: Any, config: Any) -> list[_Layer]:
    gelu, heads = _GELU[config.hidden_act], config.num_attention_heads
    groups = []
    for group in encoder.albert_layer_groups:
        layer = group.albert_layers[0]
        attention = layer.attention
        parts = {name: getattr(attention, name) for name in ("query", "key", "value")}
        feed_forward = (layer.ffn, layer.ffn_output, layer.full_layer_layer_norm)
        groups.append(_Layer({**parts, "out": attention.dense, "norm": attention.LayerNorm}, feed_forward, heads, gelu))
    # ALBERT runs few layers many times.
    return [groups[int(i / (config.num_hidden_layers / config.num_hidden_groups))] for i in range(config.num_hidden_layers)]


class EncoderGraph(nn.Module):
    """A BERT or ALBERT classifier as one flat graph: token ids and mask in, logits out."""

    def __init__(self, model: Any, type_separator: int | None = None) -> None:
        """Take over the weights of a transformers `...ForSequenceClassification` in evaluation mode.

        Args:
            model: The classifier.
            type_separator: Of a model for pairs whose tokens have types (netral.model_folder.ServingText); None gives all type 0.

        Raises:
            ValueError: The architecture is not one that :func:`supports` names.
        """
        super().__init__()
        config = model.config
        if not supports(config):
            raise ValueError(f"no inference graph for {config.model_type} with {config.hidden_act}")
        base = getattr(model, config.model_type)
        embeddings = base.embeddings
        self.words = embeddings.word_embeddings
        # Sentences come alone, so every token has type 0; in a pair those of the second sentence get the difference to type 1 added.
        types = embeddings.token_type_embeddings.weight.data
        self.places = nn.Parameter(embeddings.position_embeddings.weight.data + types[0])
        self.type_separator = type_separator
        self.second = nn.Parameter(types[1] - types[0]) if type_separator is not None else None
        self.embedding_norm = embeddings.LayerNorm
        albert = config.model_type == "albert"
        self.widen = base.encoder.embedding_hidden_mapping_in if albert else nn.Identity()
        self.layers = nn.ModuleList((_albert_layers if albert else _bert_layers)(base.encoder, config))
        self.pooler = base.pooler if albert else base.pooler.dense
        self.classifier = model.classifier

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits of shape (batch, labels) for integer tensors of shape (batch, length)."""
        x = self.words(input_ids) + self.places[: input_ids.shape[1]]
        if self.second is not None and self.type_separator is not None:
            x = x + token_types(input_ids, self.type_separator)[..., None].to(x.dtype) * self.second
        x = self.widen(self.embedding_norm(x))
        # Large enough to vanish in a softmax, small enough for every float type: -inf would turn a row of padding into NaN.
        mask = ((1 - attention_mask[:, None, None, :]) * -10000.0).to(x.dtype)
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            x = layer(x, mask, index == last)
        logits: Tensor = self.classifier(torch.tanh(self.pooler(x[:, 0])))
        return logits


def token_types(input_ids: Tensor, separator: int) -> Tensor:
    """Return the type of each token of a pair: 0 up to the first separator, 1 behind it."""
    ends = (input_ids == separator).long()
    return ((ends.cumsum(1) - ends) > 0).long()


class _PackedLinear(nn.Module):
    """A linear layer whose weights oneDNN has laid out for this processor once, instead of in every call."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.data, None)
        self.bias = linear.bias.data

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return found


def pack_linear_layers(graph: EncoderGraph) -> EncoderGraph:
    """Lay out the weights of a graph on the CPU for oneDNN; leaves the graph as it is where torch has no oneDNN.

    Both calls are what torch's own compiler emits for frozen weights. Measured once on a Sapphire Rapids, one
    core, fp32, 1,024 tokens a batch: a tenth (IndoBERT-base's shape) to a quarter (the embedded model) faster than without.
    """
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not available or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return graph
    with torch.inference_mode():
        for layer in set(graph.layers):
            for name in ("qkv", "out", "up", "down"):
                setattr(layer, name, _PackedLinear(getattr(layer, name)))
    return graph
