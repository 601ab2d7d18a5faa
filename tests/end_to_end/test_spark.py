"""The Spark recipe of docs/cluster.md gives the predictions of the Predictor."""

import os
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import ROOT

from inference import Predictor

RECIPE = ROOT / "examples" / "spark_label.py"
OPTIONS = "--master local[1] --conf spark.ui.enabled=false --conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1"


def test_the_recipe_labels_like_the_predictor(tmp_path, tiny_model, gold_labels):
    pytest.importorskip("pyspark", reason="pyspark is not installed: pip install pyspark")
    if not shutil.which("java"):
        pytest.skip("Spark needs Java 17")
    texts = [row["sentence"] for row in gold_labels[:10]]
    ids = [str(i) for i in range(10)]
    pq.write_table(pa.table({"sentence_id": ids, "sentence": texts}), tmp_path / "in.parquet")
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": f"{OPTIONS} pyspark-shell", "PYSPARK_PYTHON": sys.executable}
    arguments = [tmp_path / "in.parquet", tmp_path / "out.parquet", tiny_model]
    done = subprocess.run([sys.executable, RECIPE, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = pq.read_table(tmp_path / "out.parquet").to_pylist()
    with Predictor(tiny_model) as predictor:
        expected = predictor.predict(texts)
    assert [(row["sentence_id"], row["sentence"]) for row in found] == list(zip(ids, texts, strict=True))
    assert [(tuple(row["labels"]), dict(row["scores"])) for row in found] == [(each.labels, each.scores) for each in expected]


def test_the_guide_shows_the_recipe_as_it_is():
    text = RECIPE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 30
    assert text in (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
