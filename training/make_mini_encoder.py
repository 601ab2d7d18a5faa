"""Makes the embedded encoder from the pre-trained multilingual-e5-small with an Indonesian vocabulary.

    python -m training.make_mini_encoder SOURCE_DIR CORPUS.jsonl.xz

Repeatable: the same source and corpus give the same bytes. What it does: counts how often each vocabulary piece is used in
the corpus (only counts are kept, no text), keeps the most used ones, and cuts the tokenizer and the embedding table to them.
All twelve layers are kept: cutting layers without distillation cost far more than it saved (docs/decisions.md).
"""

import json
import lzma
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModel

from netral.errors import NetralError
from netral.text import model_text
from training.fitting.encoder import MINI_ENCODER

# 24,000 of 31,232 pieces cover 99.92 % of the piece occurrences in a sixth of 57,000 Indonesian news articles; what is lost
# splits into smaller pieces. Encoder and default classifier together then stay within 130 MB.
KEPT_PIECES = 24_000
_EVERY = 6
_SHARD_SIZE = "45MB"


def used_pieces(tokenizer: Tokenizer, corpus: Path) -> Counter[int]:
    """Count the pieces in every sixth article of a JSONL corpus (`text` field, xz-compressed)."""
    counts: Counter[int] = Counter()
    with lzma.open(corpus, "rt", encoding="utf-8") as lines:
        for line in islice(lines, 0, None, _EVERY):
            paragraphs = [model_text(p) for p in json.loads(line)["text"].splitlines() if p.strip()]
            for encoding in tokenizer.encode_batch(paragraphs, add_special_tokens=False):
                counts.update(encoding.ids)
    return counts


def cut_tokenizer(source: dict[str, object], counts: Counter[int], keep: int) -> tuple[dict[str, object], list[int]]:
    """Return the tokenizer with the kept pieces only, and the old id of each new id.

    Special tokens and single characters always stay: without the latter, rare words would become unknown.
    """
    model: dict[str, object] = dict(source["model"])  # type: ignore[call-overload]
    vocabulary: list[list[object]] = model["vocab"]  # type: ignore[assignment]
    added: list[dict[str, object]] = source["added_tokens"]  # type: ignore[assignment]
    special = {int(str(token["id"])) for token in added}
    always = {i for i, (piece, _) in enumerate(vocabulary) if len(str(piece).lstrip("▁")) <= 1} | special
    ranked = sorted(set(range(len(vocabulary))) - always, key=lambda i: (-counts[i], i))
    size = max(len(vocabulary), *(i + 1 for i in special))
    kept = sorted((always | set(ranked[: keep - len(always)])) & set(range(size)))
    new_id = {old: new for new, old in enumerate(kept)}
    model["vocab"] = [vocabulary[i] for i in kept if i < len(vocabulary)]
    model["unk_id"] = new_id[int(str(model["unk_id"]))]
    cut = {**source, "model": model, "added_tokens": [{**token, "id": new_id[int(str(token["id"]))]} for token in added]}
    processor = json.loads(json.dumps(cut["post_processor"]))
    for token in processor.get("special_tokens", {}).values():
        token["ids"] = [new_id[i] for i in token["ids"]]
    cut["post_processor"] = processor
    return cut, kept


def make(source: Path, corpus: Path, out: Path) -> None:
    """Write the embedded encoder folder."""
    original = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    counts = used_pieces(Tokenizer.from_file(str(source / "tokenizer.json")), corpus)
    tokenizer, kept = cut_tokenizer(original, counts, KEPT_PIECES)
    model = AutoModel.from_pretrained(source, dtype=torch.float16, trust_remote_code=False, add_pooling_layer=False)
    table = model.get_input_embeddings()
    table.weight = torch.nn.Parameter(table.weight.detach()[kept].clone())
    table.num_embeddings = len(kept)
    new_id = {old: new for new, old in enumerate(kept)}
    table.padding_idx = new_id[model.config.pad_token_id]
    model.config.vocab_size = len(kept)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(model.config, name, new_id[getattr(model.config, name)])
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out, max_shard_size=_SHARD_SIZE)
    (out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    settings = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise NetralError("two arguments are needed", "python -m training.make_mini_encoder SOURCE_DIR CORPUS.jsonl.xz")
    make(Path(sys.argv[1]), Path(sys.argv[2]), MINI_ENCODER)
