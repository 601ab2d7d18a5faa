"""The embedded default model as shipped: its size, its form, and its judgement on plain cases written for this test."""

import json
import subprocess

import numpy as np
import pytest
from support import ROOT, read_jsonl

from inference import Predictor
from inference.bench.systems import plain_pipeline
from inference.jobs.job import label
from inference.predictor import DEFAULT_MODEL
from netral.config import Config, load_config
from training.data.prepare import prepare
from training.fitting.encoder import MINI_ENCODER

CASES = [
    ("Bupati mengingatkan seluruh ASN agar menjaga netralitas selama masa kampanye.", {"warning"}),
    ("Sekretaris daerah meminta para pegawai tidak terlibat politik praktis.", {"warning"}),
    ("TNI dan Polri harus netral dalam pemilu, kata anggota DPR itu.", {"warning"}),
    ("ASN yang terbukti melanggar akan dijatuhi sanksi sesuai aturan yang berlaku.", {"sanction_threat"}),
    ("Pegawai yang nekat ikut kampanye bisa diberhentikan dengan tidak hormat.", {"sanction_threat"}),
    ("ASN diperbolehkan menghadiri kampanye untuk mendengarkan visi dan misi calon.", {"permission"}),
    ("PNS tetap memiliki hak pilih dan boleh mencoblos di TPS.", {"permission"}),
    ("Netralitas ASN diatur dalam Undang-Undang Nomor 5 Tahun 2014 tentang ASN.", {"regulation_reference"}),
    ("Ketentuan itu tercantum dalam Pasal 280 ayat (2) UU Nomor 7 Tahun 2017.", {"regulation_reference"}),
    ("Hujan deras mengguyur Kota Bogor sejak Rabu sore.", set()),
    ("Timnas menang dua gol tanpa balas atas tamunya.", set()),
    ("Harga cabai rawit merah di Pasar Induk naik menjadi Rp60.000 per kilogram.", set()),
    ("Warga diimbau waspada banjir selama musim hujan.", set()),
    ("Pengendara yang menerobos lampu merah akan ditilang polisi.", set()),
    ("KPU menetapkan jumlah pemilih sebanyak 350.000 orang.", set()),
]


@pytest.fixture(scope="module")
def predictor():
    return Predictor()


@pytest.mark.parametrize(("sentence", "labels"), CASES)
def test_plain_cases(predictor, sentence, labels):
    (found,) = predictor.predict([sentence])
    assert set(found.labels) == labels, found.scores


def test_its_card_is_that_of_its_report():
    from training.release.push import check

    check(DEFAULT_MODEL)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git checkout to measure")
def test_size_limits():
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT, check=True).stdout.split("\0")
    sizes = {name: (ROOT / name).stat().st_size for name in tracked if name and (ROOT / name).is_file()}
    assert max(sizes.values()) < 50_000_000
    weights = sum(size for name, size in sizes.items() if name.endswith((".safetensors", ".onnx", ".bin")))
    assert weights < 130_000_000


def test_it_says_that_it_is_not_indobert():
    assert "not IndoBERT" in (DEFAULT_MODEL / "README.md").read_text(encoding="utf-8")
    assert "not IndoBERT" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_was_trained_with_the_shipped_recipe_and_decides_by_the_shipped_data(tmp_path):
    run = json.loads((DEFAULT_MODEL / "run.json").read_text(encoding="utf-8"))
    recipe = load_config(ROOT / "configs/recipes/default-model.yaml")
    for section in ("labels", "text", "model", "train", "decision"):
        assert run["settings"][section] == recipe.model_dump()[section]
    splits = prepare([str(ROOT / "data/gold/articles.jsonl")], tmp_path / "data", recipe)["counts"]["splits"]
    # Beside the gold corpus it was trained on real sentences that cannot be passed on; what it is decided and measured by is all here.
    assert run["counts"]["train"] > splits["train"]["sentences"]
    assert run["counts"]["validation"] == splits["validation"]["sentences"]
    chosen = {label: splits["validation"][label] for label in recipe.label_names}
    assert run["decision"]["chosen_on"]["positives"] == chosen


def test_it_loads_with_plain_transformers_and_gives_the_same_logits(predictor, gold_labels):
    sentences = [row["sentence"] for row in gold_labels[:40]]
    plain = plain_pipeline(DEFAULT_MODEL)
    names = list(plain.model.config.id2label.values())
    found = np.array([[next(e["score"] for e in row if e["label"] == name) for name in names] for row in plain(sentences)])
    expected = 1 / (1 + np.exp(-predictor.logits(sentences)))
    assert found == pytest.approx(expected, abs=1e-5)


def test_batches_and_order_do_not_change_its_output(tmp_path, gold_articles):
    from support import write_jsonl

    for i in range(2):
        write_jsonl(tmp_path / f"{i}.jsonl", gold_articles[i * 4 : i * 4 + 4])
    files = [str(tmp_path / "0.jsonl"), str(tmp_path / "1.jsonl")]
    outputs = []
    for tokens, inputs in ((4096, files), (50, files[::-1]), (1000, files)):
        config = Config().model_copy(update={"label": Config().label.model_copy(update={"batch_tokens": tokens})})
        out = tmp_path / f"out{tokens}.jsonl"
        label(inputs, str(out), config)
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]


def test_the_embedded_encoder_loads_and_knows_indonesian():
    from transformers import AutoConfig

    from training.fitting.encoder import load_tokenizer

    settings = AutoConfig.from_pretrained(MINI_ENCODER)
    assert (settings.num_hidden_layers, settings.hidden_size, settings.vocab_size) == (12, 384, 24_000)
    tokenizer = load_tokenizer(str(MINI_ENCODER))
    assert len(tokenizer) == 24_000
    ids = tokenizer("Aparatur sipil negara wajib menjaga netralitas.")["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Aparatur sipil negara wajib menjaga netralitas."


def test_real_articles_get_sensible_labels(shared, tmp_path):
    """Sentences of the real articles whose labels leave no doubt, named by their opening words."""
    label([str(shared / "articles" / "*.txt")], str(tmp_path / "o.jsonl"), Config())
    rows = read_jsonl(tmp_path / "o.jsonl")

    def of(words):
        return next(set(row["labels"]) for row in rows if words in row["sentence"])

    assert "warning" in of("mengingatkan seluruh Aparatur Sipil")
    assert of("UU) Nomor 5 Tahun 2014") == {"regulation_reference"}
    assert "permission" in of("ASN diperbolehkan mendengarkan")
    assert of("proses pendaftaran bakal calon") == set()
