"""Paths and small helpers that several tests use."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
GOLD = ROOT / "data" / "gold"
DATA = Path(__file__).parent / "data"


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_jsonl(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def labelled_output(crawl: Path, out: Path, scores: dict[str, dict[str, float]]) -> Path:
    """Write what `netral label` would, with a label for each score given to the sentences that hold a word; no model needed."""
    from inference.jobs.job import split
    from netral.config import load_config
    from netral.labels import LABELS

    split([str(crawl)], str(out), load_config(None, ["read.language=any"]), overwrite=True)
    rows = read_jsonl(out)
    for row in rows:
        given = next((labels for word, labels in scores.items() if word in row["sentence"]), {})
        row |= {"labels": list(given), "scores": {label: given.get(label, 0.05) for label in LABELS}, "model": "0" * 16, "truncated": False}
    return write_jsonl(out, rows)


def downloaded(page, button: str, folder: Path) -> list[dict]:
    """Press a button that gives corrections, and read the file."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    assert re.fullmatch(r"corrections-\d{8}-\d{6}\.jsonl", download.value.suggested_filename)
    download.value.save_as(folder / "corrections.jsonl")
    return read_jsonl(folder / "corrections.jsonl")
