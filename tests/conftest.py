"""Fixtures: everything a test needs is made here; nothing is downloaded and hubs are switched off."""

import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest
from support import GOLD, ROOT, SHARED, read_jsonl, write_jsonl

os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
# In the background of a shell Ctrl-C is ignored, and the jobs that tests interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real articles and corpora beside the checkout, which users do not have."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared with real articles and corpora beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def gold_articles() -> list[dict]:
    return read_jsonl(GOLD / "articles.jsonl")


@pytest.fixture(scope="session")
def gold_labels() -> list[dict]:
    return read_jsonl(GOLD / "labels.jsonl")


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory, gold_labels: list[dict]) -> Path:
    """A BERT of two small layers with random weights and a WordPiece vocabulary of the gold corpus."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    # Counted here: the trainer of tokenizers 0.23 breaks ties at random, and three processes made three vocabularies of the same corpus.
    counts = Counter(word for row in gold_labels for word in re.findall(r"\w+|[^\w\s]", row["sentence"].lower()))
    characters = sorted({character for word in counts for character in word})
    words = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if len(word) > 1]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{each}" for each in characters), *words][:3000]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    torch.manual_seed(0)
    shape = BertConfig(vocab_size=len(vocabulary), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96)
    BertModel(shape).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_config(tiny_encoder: Path):
    from netral.config import load_config

    gold = f"prepare.gold={GOLD / 'labels.jsonl'}"
    return load_config(ROOT / "configs/recipes/tiny.yaml", [gold, f"model.encoder={tiny_encoder}"])


@pytest.fixture(scope="session")
def small_articles(tmp_path_factory: pytest.TempPathFactory, gold_articles: list[dict]) -> Path:
    """Twenty-four gold articles, enough for every stage and quick to train on."""
    return write_jsonl(tmp_path_factory.mktemp("articles") / "articles.jsonl", gold_articles[:24])


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory, small_articles: Path, tiny_config) -> Path:
    from training.data.prepare import prepare

    out = tmp_path_factory.mktemp("prepared") / "data"
    prepare([str(small_articles)], out, tiny_config)
    return out


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, small_data: Path, tiny_config) -> Path:
    """A complete model folder trained for two epochs: real in form, poor in judgement."""
    from training.fitting.fit import train

    out = tmp_path_factory.mktemp("trained") / "model"
    train(tiny_config, small_data, out)
    return out
