"""Loads an encoder and its tokenizer, from a folder or a hub name, and checks that they fit together."""

import os
import pickle  # for the name of its error alone
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference.tokenise import Text
from netral.config import EMBEDDED, Config
from netral.errors import NetralError
from netral.text import model_text

MINI_ENCODER = Path(__file__).parents[1] / "mini_encoder"
_PROBE = "Pegawai negeri diminta menjaga netralitas dalam pemilihan kepala daerah tahun 2024."
# IndoBERT's vocabulary knows every word of the probe; a wrong tokenizer class (SentencePiece for a WordPiece vocabulary)
# makes most of it unknown.
_MAX_UNKNOWN = 0.2


def encoder_source(config: Config) -> str:
    """Return the folder or hub name of the configured encoder."""
    return str(MINI_ENCODER) if config.model.encoder == EMBEDDED else config.model.encoder


def load_tokenizer(source: str, revision: str | None = None) -> Any:
    """Load the fast tokenizer of an encoder.

    The class follows the checkpoint's own files, not its model type: IndoBERT-lite is an ALBERT model with a BERT
    WordPiece vocabulary, for which AutoTokenizer would take ALBERT's SentencePiece.

    Raises:
        NetralError: The tokenizer is missing or does not know Indonesian words.
    """
    import transformers
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    where: dict[str, Any] = {"trust_remote_code": False, "revision": revision or "main"}
    try:
        if (Path(source) / "tokenizer.json").is_file():
            tokenizer: Any = transformers.PreTrainedTokenizerFast.from_pretrained(source)
        else:
            settings = get_tokenizer_config(source, revision=where["revision"])
            wordpiece = str(settings.get("tokenizer_class", "")).startswith("BertTokenizer") or (Path(source) / "vocab.txt").is_file()
            chosen: Any = transformers.BertTokenizerFast if wordpiece else transformers.AutoTokenizer
            tokenizer = chosen.from_pretrained(source, **where)
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise NetralError(f"{source}: no tokenizer can be loaded ({_first_line(error)})", _next_step(source)) from None
    _check_tokenizer(tokenizer, source)
    return tokenizer


def _check_tokenizer(tokenizer: Any, source: str) -> None:
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise NetralError(
            f"{source}: its tokenizer is not a fast one with a padding token", "choose an encoder with a tokenizer.json or vocab.txt"
        )
    ids = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    unknown = sum(i == tokenizer.unk_token_id for i in ids) / max(len(ids), 1)
    if unknown > _MAX_UNKNOWN:
        raise NetralError(
            f"{source}: its tokenizer does not know {unknown:.0%} of an Indonesian sentence",
            "check that vocabulary and tokenizer class belong together",
        )


def encode(tokenizer: Any, texts: Sequence[Text], max_length: int | None = None) -> Any:
    """Tokenise sentences or pairs in the form that the model reads; cut to ``max_length``, of a pair the longer sentence first."""
    cut: dict[str, Any] = {} if max_length is None else {"truncation": True, "max_length": max_length}
    pairs = [text for text in texts if not isinstance(text, str)]
    if pairs:
        first, second = ([model_text(pair[k]) for pair in pairs] for k in (0, 1))
        # Asked for, because not every tokenizer that marks the second sentence says so by itself.
        return tokenizer(first, second, return_token_type_ids=True, **cut)
    return tokenizer([model_text(text) for text in texts if isinstance(text, str)], **cut)


def type_separator(tokenizer: Any, model: Any) -> int | None:
    """Return the token behind which a pair's tokens have type 1, or None where the tokenizer gives all of them type 0.

    Raises:
        NetralError: The tokenizer marks the second sentence of a pair in another way.
    """
    found = tokenizer(_PROBE, _PROBE, return_token_type_ids=True)
    types = found["token_type_ids"]
    if not any(types) or getattr(model.config, "type_vocab_size", 1) < 2:
        return None
    ids, first = found["input_ids"], types.index(1)
    if types != [int(i >= first) for i in range(len(ids))] or ids.index(ids[first - 1]) != first - 1:
        raise NetralError(
            "the tokenizer gives the tokens of a pair types that netral does not know", "choose an encoder of the BERT family"
        )
    return int(ids[first - 1])


def load_classifier(config: Config, tokenizer: Any) -> Any:
    """Load the encoder with a new classification head for the configured labels, in float32.

    Safetensors are preferred; a checkpoint that only has a ``.bin`` file is read through ``weights_only``, which runs no code.

    Raises:
        NetralError: The weights are missing, or the vocabulary is larger than the embedding table.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.utils import logging

    # Without this, a hub checkpoint in .bin form makes transformers ask a web service for a converted copy.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "true")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    source, labels = encoder_source(config), config.label_names
    try:
        settings = AutoConfig.from_pretrained(
            source,
            revision=config.model.revision or "main",
            trust_remote_code=False,
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
            problem_type="single_label_classification" if len(config.choices) == 1 else "multi_label_classification",
        )
        _adjust(settings, config)
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            source,
            config=settings,
            revision=config.model.revision or "main",
            trust_remote_code=False,
            dtype=torch.float32,
            weights_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        raise NetralError(f"{source}: the encoder cannot be loaded ({_first_line(error)})", _next_step(source)) from None
    # A new head starts at random, and so does the pooler of an encoder that came without one; anything else must be there.
    absent = sorted(k for k in loading["missing_keys"] if not k.startswith("classifier") and "pooler" not in k)
    if absent:
        raise NetralError(
            f"{source}: its weights lack {absent[0]} and {len(absent) - 1} more", "the checkpoint is cut or of another architecture"
        )
    if config.model.pooling == "mean":
        add_mean_pooling_layer(model, source)
    rows = model.get_input_embeddings().num_embeddings
    # The configuration's vocab_size is not to be trusted: IndoBERT base says 50,000 and its vocabulary holds 30,521.
    if len(tokenizer) > rows:
        raise NetralError(f"{source}: {len(tokenizer)} tokens but {rows} embeddings", "vocabulary and weights come from different models")
    return model


def load_masked_lm(config: Config, tokenizer: Any) -> tuple[Any, bool]:
    """Load the encoder with its masked-language-model head, in float32, cut to the configured layers.

    Returns:
        The model, and whether its head is new: made for an encoder that comes without one, its output tied to the embeddings.

    Raises:
        NetralError: The weights are missing or do not fit, there is no mask token, or sequences would be too long.
    """
    import torch
    from transformers import AutoConfig, AutoModelForMaskedLM
    from transformers.utils import logging

    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "true")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    source = encoder_source(config)
    if tokenizer.mask_token_id is None:
        raise NetralError(f"{source}: its tokenizer has no mask token", "choose an encoder that was pre-trained with masks")
    where: dict[str, Any] = {"revision": config.model.revision or "main", "trust_remote_code": False}
    try:
        settings = AutoConfig.from_pretrained(source, **where)
        _cut(settings, config, "pretrain.length", config.pretrain.length)
        model, loading = AutoModelForMaskedLM.from_pretrained(
            source, config=settings, dtype=torch.float32, weights_only=True, output_loading_info=True, **where
        )
    except (OSError, ValueError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        raise NetralError(f"{source}: the encoder cannot be loaded ({_first_line(error)})", _next_step(source)) from None
    prefix = f"{model.base_model_prefix}."
    absent = sorted(key for key in loading["missing_keys"] if key.startswith(prefix))
    if absent:
        raise NetralError(
            f"{source}: its weights lack {absent[0]} and {len(absent) - 1} more", "the checkpoint is cut or of another architecture"
        )
    new_head = any(not key.startswith(prefix) and "decoder" not in key for key in loading["missing_keys"])
    if new_head:
        model.config.tie_word_embeddings = True
        model.tie_weights()
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise NetralError(f"{source}: {len(tokenizer)} tokens but {rows} embeddings", "vocabulary and weights come from different models")
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, new_head


def add_mean_pooling_layer(model: Any, source: str) -> None:
    """Append a layer to a BERT classifier that makes its first position the mean over all positions.

    Sentence encoders such as e5 were trained on the mean of their outputs, but BERT's classifier reads the first position. A
    layer with zero queries and keys attends to every token alike; with identity values and outputs it adds the mean to each
    position. The model folder stays plain BERT with one layer more, and fine-tuning may change the layer like any other.

    Raises:
        NetralError: The model is no BERT.
    """
    import copy

    import torch

    layers = getattr(getattr(model.base_model, "encoder", None), "layer", None)
    if model.config.model_type != "bert" or layers is None:
        raise NetralError(f"{source}: model.pooling mean is for BERT encoders, this is {model.config.model_type}", "use model.pooling: cls")
    layer = copy.deepcopy(layers[-1])
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        # Small random queries and keys instead of zeros: between two zero matrices no gradient flows.
        for linear in (layer.attention.self.query, layer.attention.self.key):
            linear.weight.normal_(std=0.02)
        torch.nn.init.eye_(layer.attention.self.value.weight)
        torch.nn.init.eye_(layer.attention.output.dense.weight)
        for linear in (layer.intermediate.dense, layer.output.dense):
            linear.weight.normal_(std=0.02)
        for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1.0)
    layers.append(layer)
    model.config.num_hidden_layers += 1


def _adjust(settings: Any, config: Config) -> None:
    _cut(settings, config, "model.max_length", config.model.max_length)
    settings.classifier_dropout = config.model.dropout
    # ALBERT names the dropout before its classifier differently.
    if hasattr(settings, "classifier_dropout_prob"):
        settings.classifier_dropout_prob = config.model.dropout


def _cut(settings: Any, config: Config, name: str, length: int) -> None:
    """Cut the encoder to the configured layers, and check that it can read this many tokens."""
    if config.model.layers is not None:
        if config.model.layers > settings.num_hidden_layers:
            raise NetralError(
                f"model.layers is {config.model.layers}, the encoder has {settings.num_hidden_layers}", "leave model.layers out or lower it"
            )
        settings.num_hidden_layers = config.model.layers
    positions = getattr(settings, "max_position_embeddings", length)
    if length > positions:
        raise NetralError(f"{name} is {length}, the encoder reads {positions} tokens", f"lower {name}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _next_step(source: str) -> str:
    return (
        f"{source} is taken as a hub name unless it is a folder: check the spelling and the network, or download the checkpoint "
        "and set model.encoder to its folder"
    )
