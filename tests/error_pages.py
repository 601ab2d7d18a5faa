"""Pages of errors for these tests: articles with gold labels, what a model answered, and the page made of both."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support import write_jsonl

from netral.config import load_config
from netral.labels import LABELS
from netral.pages import page as pages
from training.data.prepare import prepare
from training.report.errors import error_cards, error_settings
from training.statistics.predictions import Predictions

SENTENCES = [
    "Bupati Ingatkan Pegawai",
    "Bupati Ambon mengingatkan pegawai agar netral.",
    "Pelanggar akan dipecat dari jabatannya.",
    "Pegawai &quot;boleh&quot; memberikan suara.",
    "Apel dibuka pukul tujuh pagi.",
    "Hujan turun sejak semalam.",
]
GOLD = {1: ["warning"], 2: ["sanction_threat"], 3: ["permission"]}
# What the model says otherwise: by sentence of `satu`, label and score.
ANSWERS = {
    2: {"warning": 0.31},
    3: {"warning": 0.97, "sanction_threat": 0.9, "permission": 0.0},
    4: {"permission": 0.2},
    6: {"warning": 0.523},
}
THRESHOLDS = {"warning": 0.52, "sanction_threat": 0.5, "permission": 0.5, "regulation_reference": 0.5}


def make_data(folder: Path) -> Path:
    """Prepare two articles with gold labels, all of it as the test split."""
    text = f"{SENTENCES[0]}\n\n" + " ".join(SENTENCES[1:])
    write_jsonl(
        folder / "articles.jsonl",
        [{"id": "satu", "text": text, "outlet": "Warta Contoh", "date": "2024-11-18"}, {"id": "dua", "text": "Air surut di Bitung."}],
    )
    rows = []
    for number, sentence in enumerate(SENTENCES):
        start = text.index(sentence)
        row = {"article_id": "satu", "start": start, "end": start + len(sentence), "sentence": sentence}
        rows.append(row | {"labels": GOLD.get(number, [])})
    rows.append({"article_id": "dua", "start": 0, "end": 20, "sentence": "Air surut di Bitung.", "labels": []})
    write_jsonl(folder / "labels.jsonl", rows)
    (folder / "recipe.yaml").write_text(
        "prepare: {gold: labels.jsonl, train: 0, validation: 0, test: 1}\nread: {language: any}\n", encoding="utf-8"
    )
    prepare([str(folder / "articles.jsonl")], folder / "data", load_config(folder / "recipe.yaml"))
    return folder / "data" / "test.parquet"


def answered(data_file: Path) -> Predictions:
    """Return what the model says: the gold labels at 0.9 and 0.1, but for ANSWERS."""
    rows = pq.read_table(data_file).to_pylist()
    truth = np.array([[int(label in row["labels"]) for label in LABELS] for row in rows])
    scores = np.where(truth, 0.9, 0.1)
    for i, row in enumerate(rows):
        article, number = row["sentence_id"].split(":")
        for label, score in ANSWERS.get(int(number), {}).items() if article == "satu" else ():
            scores[i, LABELS.index(label)] = score
    given = (scores >= np.array([THRESHOLDS[label] for label in LABELS])).astype(int)
    return predictions(rows, LABELS, truth, given, scores)


def predictions(rows, labels, truth, given, scores, **fields) -> Predictions:
    """Gather predictions on the rows of a split."""
    columns = {"sentence_ids": "sentence_id", "articles": "article_id", "groups": "group", "sentences": "sentence"}
    taken = {name: [row[column] for row in rows] for name, column in columns.items()}
    return Predictions(labels=tuple(labels), truth=truth, given=given, scores=scores, **taken, **fields)


def write_page(file: Path, cards: list[dict], settings: dict, monkeypatch: pytest.MonkeyPatch, before: str = "") -> Path:
    """Render the errors alone, without the figures that stand above them in the report, behind some markup of the test's own."""
    own = '{% extends "base.html" %}{% block body %}' + before + '<main>{% include "errors.html" %}</main>{% endblock %}'
    shipped = pages._text
    monkeypatch.setattr(pages, "_text", lambda package, folder, name: own if name == "alone.html" else shipped(package, folder, name))
    scripts = ("dom.js", "charts.js", "answers.js", "errors.js")
    context = {"packed": cards, "error_settings": settings, "meanings": {}}
    html = pages.render("training.report", "alone.html", title="Errors", styles=("errors.css",), scripts=scripts, **context)
    file.write_text(html, encoding="utf-8", errors="replace", newline="\n")
    return file


def report_of(thresholds: dict[str, float]) -> dict:
    return {"model": {"thresholds": thresholds}, "data": {"split": "test"}}


def error_page(folder: Path, monkeypatch: pytest.MonkeyPatch, before: str = "") -> Path:
    """Make the page of the errors in ANSWERS."""
    data_file = make_data(folder)
    found = answered(data_file)
    cards = json.loads(json.dumps(error_cards(data_file, found)))
    return write_page(folder / "report.html", cards, error_settings(found, report_of(THRESHOLDS)), monkeypatch, before)
