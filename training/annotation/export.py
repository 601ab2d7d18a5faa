"""From the output of `netral label` to files for annotators."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inference.jobs.rows import REGULATION
from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import refuse_existing, replacing_file
from netral.io.streams import read_lines
from netral.model_folder import open_model_folder
from training.annotation.formats import format_named
from training.annotation.labelled import Labelled, read_labelled
from training.annotation.select import Candidates, choose
from training.annotation.task import Origin, Task
from training.evaluation.baselines import rule_baseline


def export(
    inputs: Sequence[str],
    out: Path,
    config: Config,
    *,
    kind: str,
    n: int,
    model: Path | None = None,
    exclude: Sequence[Path] = (),
    overwrite: bool = False,
) -> dict[str, Any]:
    """Choose ``n`` labelled sentences and write them as tasks; return the counts by strategy.

    Args:
        inputs: Output of `netral label`.
        out: The file to write.
        config: The sections `annotate` and `prepare.near_duplicate` count.
        kind: The format's name.
        n: How many sentences.
        model: The model folder that labelled the input, for its thresholds; without it they are inferred from the rows.
        exclude: Answers or label files; neither their sentences nor near-duplicates of them are chosen.
        overwrite: Replace an output that exists.

    Raises:
        NetralError: The input is no output of `netral label`, the model is another one, or the output exists.
    """
    chosen_format = format_named(kind)
    refuse_existing(out, overwrite)
    rows = read_labelled(inputs)
    labels = list(rows[0].scores)
    known = _known(exclude)
    free = [i for i, row in enumerate(rows) if (row.article_id, row.start, row.end) not in known]
    candidates = _candidates([rows[i] for i in free], labels, _thresholds(rows, labels, model))
    shares = config.annotate.model_dump(include={"random", "uncertainty", "disagreement", "diversity"})
    chosen = choose(candidates, n, shares, config.prepare.near_duplicate, config.annotate.seed, list(known.values()))
    tasks = [_task(rows, free[c.index], c.strategy, c.inclusion_probability, config.annotate.context) for c in chosen]
    with replacing_file(out) as beside:
        chosen_format.write(tasks, beside)
    if chosen_format.interface:
        out.with_suffix(".interface.xml").write_text(chosen_format.interface(labels), encoding="utf-8")
    return {"sentences": len(rows), "chosen": len(tasks), "strategies": dict(sorted(Counter(c.strategy for c in chosen).items()))}


def _known(files: Iterable[Path]) -> dict[tuple[str, int, int], str]:
    """Return the sentences of label files or answers by their place."""
    found: dict[tuple[str, int, int], str] = {}
    for path in files:
        for line in read_lines(path, 10_000_000):
            if not line.reason and not line.data.strip():
                continue
            try:
                row = json.loads(line.data)
                found[str(row["article_id"]), row["start"], row["end"]] = row["sentence"]
            except (ValueError, TypeError, KeyError):
                raise NetralError(
                    f"{path}:{line.row}: no article_id, start, end and sentence {line.detail}".rstrip(),
                    "pass a label file or answers, as JSON lines",
                ) from None
    return found


def _thresholds(rows: Sequence[Labelled], labels: Sequence[str], model: Path | None) -> np.ndarray:
    """Return the model's thresholds; without the model, halfway between the highest score refused and the lowest one accepted."""
    if model is not None:
        folder = open_model_folder(model)
        if folder.fingerprint != rows[0].model:
            raise NetralError(
                f"{model}: the input was labelled by another model ({rows[0].model})", "pass that model, or leave out --model"
            )
        return np.array([folder.decision.thresholds[label] for label in labels])
    found = []
    for label in labels:
        accepted = min((row.scores[label] for row in rows if label in row.labels), default=None)
        refused = max((row.scores[label] for row in rows if label not in row.labels), default=None)
        found.append(0.5 if accepted is None or refused is None else (accepted + refused) / 2)
    # A share of 0 or 1 has no logit.
    return np.asarray(np.clip(np.array(found), 0.01, 0.99))


def _candidates(rows: Sequence[Labelled], labels: Sequence[str], thresholds: np.ndarray) -> Candidates:
    sentences = [row.sentence for row in rows]
    rules = rule_baseline(sentences, labels)
    if REGULATION in labels:
        rules[:, list(labels).index(REGULATION)] = [row.cites for row in rows]
    scores = np.array([[row.scores[label] for label in labels] for row in rows]).reshape(len(rows), len(labels))
    given = np.array([[int(label in row.labels) for label in labels] for row in rows], dtype=int).reshape(len(rows), len(labels))
    return Candidates(sentences, scores, given, rules, thresholds)


def _task(rows: Sequence[Labelled], i: int, strategy: str, chance: float | None, context: int) -> Task:
    row = rows[i]
    origin = Origin(row.sentence_id, row.article_id, row.start, row.end, strategy, chance, row.model, row.labels)
    before = [r.sentence for r in rows[max(i - context, 0) : i] if r.article_id == row.article_id]
    after = [r.sentence for r in rows[i + 1 : i + 1 + context] if r.article_id == row.article_id]
    return Task(origin, row.sentence, tuple(before), tuple(after), row.scores)
