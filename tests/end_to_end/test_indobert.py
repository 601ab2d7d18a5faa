"""The IndoBERT recipes, end to end on random weights: real configuration and vocabulary, real checkpoint form (.bin)."""

import json
import shutil

import numpy as np
import pytest
import torch
from support import DATA, GOLD, ROOT, SHARED

from inference import Predictor
from netral.config import load_config
from netral.errors import NetralError
from training.fitting.encoder import load_classifier, load_tokenizer
from training.fitting.fit import train


def lite_folder(folder, vocabulary, **shape):
    """IndoBERT-lite as the hub delivers it: vocab.txt, tokenizer_config.json, config.json and a .bin file, here with random weights."""
    from transformers import AlbertConfig, AlbertModel

    folder.mkdir()
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(DATA / "indobert-lite" / name, folder)
    shutil.copy(vocabulary, folder / "vocab.txt")
    settings = json.loads((DATA / "indobert-lite" / "config.json").read_text()) | shape
    (folder / "config.json").write_text(json.dumps(settings))
    torch.manual_seed(1)
    torch.save(AlbertModel(AlbertConfig(**settings)).state_dict(), folder / "pytorch_model.bin")
    return folder


def base_folder(folder):
    """IndoBERT base cut to two layers: vocab_size 50,000 in the configuration, far fewer entries in the vocabulary."""
    from transformers import BertConfig, BertModel

    folder.mkdir()
    shutil.copy(DATA / "indobert-lite" / "vocab.txt", folder)
    shape = BertConfig(vocab_size=50_000, hidden_size=768, num_hidden_layers=2, num_attention_heads=12, intermediate_size=3072)
    (folder / "config.json").write_text(shape.to_json_string())
    torch.manual_seed(1)
    torch.save(BertModel(shape).state_dict(), folder / "pytorch_model.bin")
    return folder


def recipe(name, encoder):
    settings = [
        f"model.encoder={encoder}",
        f"prepare.gold={GOLD / 'labels.jsonl'}",
        "model.max_length=48",
        "train.epochs=1",
        "train.batch_size=16",
    ]
    return load_config(ROOT / "configs" / "recipes" / name, settings)


def small_split(data, tmp_path, rows):
    """Cut the prepared splits to a few sentences: shapes are what is tested here."""
    import pyarrow.parquet as pq

    out = tmp_path / "few"
    out.mkdir()
    for name in ("train", "validation", "test"):
        pq.write_table(pq.read_table(data / f"{name}.parquet").slice(0, rows), out / f"{name}.parquet")
    return out


def check_trained(folder, sentences):
    """The folder serves the same logits through netral and through plain transformers."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    ours = Predictor(folder).logits(sentences)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None, function_to_apply="sigmoid", truncation=True)
    for row, found in zip(ours, plain(sentences), strict=True):
        scores = {each["label"]: each["score"] for each in found}
        expected = dict(zip(model.config.id2label.values(), 1 / (1 + np.exp(-row)), strict=True))
        assert scores == pytest.approx(expected, abs=1e-5)


SENTENCES = ["Bupati mengingatkan ASN agar NETRAL.", "Harga cabai naik.", "UU No. 5/2014 berlaku bagi PNS."]


def test_indobert_lite_end_to_end(tmp_path, small_data):
    encoder = lite_folder(tmp_path / "lite", DATA / "indobert-lite" / "vocab.txt")
    few = small_split(small_data, tmp_path, 16)
    run = train(recipe("indobert-lite.yaml", encoder), few, tmp_path / "model")
    assert run["counts"]["train"] == 16
    check_trained(tmp_path / "model", SENTENCES)


def test_indobert_base_shape_end_to_end(tmp_path, small_data):
    encoder = base_folder(tmp_path / "base")
    few = small_split(small_data, tmp_path, 16)
    train(recipe("indobert-base.yaml", encoder), few, tmp_path / "model")
    check_trained(tmp_path / "model", SENTENCES)


def test_indobert_lite_has_a_wordpiece_tokenizer_that_lowers_case(tmp_path):
    encoder = lite_folder(tmp_path / "lite", DATA / "indobert-lite" / "vocab.txt", num_hidden_layers=1)
    tokenizer = load_tokenizer(str(encoder))
    assert tokenizer.tokenize("Netralitas ASN") == ["netral", "##itas", "asn"]
    assert tokenizer.convert_ids_to_tokens(tokenizer("Netral")["input_ids"]) == ["[CLS]", "netral", "[SEP]"]


def test_real_vocabulary_of_indobert_lite(shared, tmp_path, small_data):
    source = SHARED / "indobert-lite-base-p1"
    tokenizer = load_tokenizer(str(source))
    assert len(tokenizer) == 29_999
    text = (SHARED / "articles" / "003_f03d5f70a5ca3106.txt").read_text(encoding="utf-8")
    ids = tokenizer(text)["input_ids"]
    assert sum(i == tokenizer.unk_token_id for i in ids) / len(ids) < 0.01
    encoder = lite_folder(tmp_path / "lite", source / "vocab.txt", num_hidden_layers=2)
    model = load_classifier(recipe("indobert-lite.yaml", encoder), tokenizer)
    assert model.get_input_embeddings().num_embeddings == 30_000
    train(recipe("indobert-lite.yaml", encoder), small_split(small_data, tmp_path, 16), tmp_path / "model")
    check_trained(tmp_path / "model", SENTENCES)


def test_a_bin_file_that_would_run_code_is_refused(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    encoder = base_folder(tmp_path / "base")
    (encoder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(NetralError):
        load_classifier(recipe("indobert-base.yaml", encoder), load_tokenizer(str(encoder)))
    assert not (tmp_path / "owned").exists()


def test_a_vocabulary_larger_than_the_embeddings_is_refused(tmp_path):
    encoder = lite_folder(tmp_path / "lite", DATA / "indobert-lite" / "vocab.txt", num_hidden_layers=1, vocab_size=100)
    with pytest.raises(NetralError, match="embeddings"):
        load_classifier(recipe("indobert-lite.yaml", encoder), load_tokenizer(str(encoder)))


def test_a_tokenizer_that_knows_no_indonesian_is_refused(tmp_path):
    encoder = base_folder(tmp_path / "base")
    (encoder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello"]))
    with pytest.raises(NetralError, match="does not know"):
        load_tokenizer(str(encoder))


def test_a_missing_encoder_says_what_was_tried():
    with pytest.raises(NetralError, match="nowhere/model") as caught:
        load_tokenizer("nowhere/model")
    assert "hub name" in caught.value.next_step


def test_mean_pooling_layer_starts_as_the_mean(tmp_path, tiny_encoder):
    """The added layer's first position is layer-normed (own output + mean of all outputs), padding left out."""
    from transformers import AutoModel

    config = load_config(None, [f"model.encoder={tiny_encoder}", "model.pooling=mean"])
    tokenizer = load_tokenizer(str(tiny_encoder))
    model = load_classifier(config, tokenizer).eval()
    plain = AutoModel.from_pretrained(tiny_encoder).eval()
    batch = tokenizer(["ASN netral.", "Bupati meminta seluruh pegawai menjaga netralitas."], padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = plain(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None]
        mean = (hidden * mask).sum(1) / mask.sum(1)
        expected = torch.nn.functional.layer_norm(hidden[:, 0] + mean, hidden.shape[-1:])
        found = model.base_model(**batch).last_hidden_state[:, 0]
    similarity = torch.cosine_similarity(found, expected)
    assert (similarity > 0.95).all()  # not exactly: the layer starts with small random queries, keys and feed-forward
    assert model.config.num_hidden_layers == 3
