"""Mean outputs of an encoder that was not fine-tuned, as features for a linear model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from inference.batching import make_batches
from netral.config import Config
from training.fitting.encoder import encoder_source, load_tokenizer


def mean_outputs(texts: Sequence[str], config: Config) -> np.ndarray:
    """Return the mean of the encoder's outputs over the tokens of each text, shape (texts, hidden size).

    Raises:
        NetralError: The encoder or its tokenizer cannot be loaded.
    """
    from transformers.utils import logging

    source = encoder_source(config)
    tokenizer = load_tokenizer(source, config.model.revision)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = _load(source, config)
    ids = tokenizer(list(texts), truncation=True, max_length=config.model.max_length)["input_ids"]
    out = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for batch in make_batches(ids, tokenizer.pad_token_id, config.label.batch_tokens):
            tokens, mask = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)
            outputs = model(input_ids=tokens, attention_mask=mask).last_hidden_state
            weights = mask[..., None].to(outputs.dtype)
            out[batch.rows] = ((outputs * weights).sum(1) / weights.sum(1)).numpy()
    return out


def _load(source: str, config: Config) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(
        source, revision=config.model.revision or "main", trust_remote_code=False, dtype=torch.float32, weights_only=True
    ).eval()
