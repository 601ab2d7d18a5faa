"""Scores the production Predictor on a prepared split, beside the baselines, with intervals."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inference.jobs.rows import REGULATION
from inference.predictor import Predictor
from netral.citations import find_citations
from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import refuse_existing, replacing_folder
from netral.io.writers import JsonlWriter
from netral.model_folder import open_model_folder
from netral.provenance import RUN_FILE, file_digest, fingerprint, folder_digest, is_current, libraries, write_json
from netral.records import SECOND
from training.data.choices import Choices, choice_figures, likeliest, value_columns
from training.data.dataset import LabelledSentences, load_split
from training.data.partition import SPLITS
from training.evaluation.against import against_base, base_answers, base_inputs, without_changes
from training.evaluation.baselines import TfidfBaseline, rule_baseline
from training.evaluation.behaviour import load_cases, run_behaviour
from training.evaluation.metrics import calibration_of, scores_of
from training.report.errors import error_cards
from training.report.markdown import report_markdown
from training.report.page import PAGE_FILE, report_page
from training.statistics.bootstrap import GroupBootstrap
from training.statistics.evaluation import average_precision_figures, label_intervals, more_figures, predictions_of, share_interval
from training.statistics.markdown import statistics_markdown
from training.statistics.predictions import PREDICTIONS_FILE, Predictions, write_predictions, wrong_sentences

_DIGITS = 4


def evaluate(
    model: Path,
    data: Path,
    out: Path,
    config: Config,
    *,
    split: str = "test",
    behaviour: Path | None = None,
    base: Path | None = None,
    no_worse_than: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Evaluate a model folder; write report.html, report.json, report.md, errors.jsonl, predictions.parquet, run.json; return the report.

    Args:
        model: Model folder.
        data: Data set.
        out: Folder for the report.
        config: How to label, and how figures are computed.
        split: Split of the data set.
        behaviour: A folder of cases (docs/behaviour.md), whose pass rates and failures the report holds then.
        base: Report or model folder to tell the changes from.
        no_worse_than: Report that is the base where there is none. A report that was made without it, and is up to date, stays.
        overwrite: Replace a report that exists.

    Raises:
        NetralError: The model, data set or base is missing or does not fit, a case is malformed, or the output exists.
    """
    folder = open_model_folder(model)
    cases = load_cases(behaviour, folder.labels) if behaviour else []
    settings = config.model_dump(include={"evaluate", "decision"}) | {"split": split}
    files = [data / f"{name}.parquet" for name in ("train", "validation", split)]
    if split not in SPLITS:
        raise NetralError(f"split {split}: unknown", f"choose one of {', '.join(SPLITS)}")
    missing = next((path for path in files if not path.is_file()), None)
    if missing:
        raise NetralError(f"{data}: no prepared data set, {missing.name} is missing", "make it with `netral prepare INPUT... --out DIR`")
    inputs = [("model", folder.fingerprint), *((path.name, file_digest(path)) for path in files)]
    if behaviour:
        inputs.append(("behaviour", folder_digest(behaviour, ("*.yaml", "*.yml"))))
    stays = (
        no_worse_than is not None
        and base is None
        and not overwrite
        and is_current(out / RUN_FILE, fingerprint("evaluate", settings, inputs))
    )
    base = base or no_worse_than
    inputs += base_inputs(base, model)
    wanted = fingerprint("evaluate", settings, inputs)
    if stays or is_current(out / RUN_FILE, wanted):
        return {**json.loads((out / "report.json").read_text(encoding="utf-8")), "unchanged": True}
    refuse_existing(out, overwrite)
    labels, choices = folder.labels, folder.decision.choices
    task: dict[str, Any] = {"labels": labels, "choices": choices, "pairs": folder.serving.pairs}
    held = load_split(data, split, **task)
    gold = predictions_of(held, held.truth, held.truth, labels, choices)
    before = base_answers(base, model, gold, data, split, config) if base else None
    predictor = Predictor(model, batch_tokens=config.label.batch_tokens)
    predictor.predict(held.inputs[:8])  # the first call pays for warming up
    begun = time.monotonic()
    predictions = predictor.predict(held.inputs)
    seconds = time.monotonic() - begun
    scores = np.array([[p.scores[label] for label in labels] for p in predictions])
    given = np.array([[int(label in p.labels) for label in labels] for p in predictions])
    systems = {"model": given, **_baselines(data, held, task, config)}
    answered = predictions_of(held, given, scores, labels, choices)
    bootstrap = GroupBootstrap(held.groups, config.evaluate.bootstrap_samples, config.evaluate.confidence, config.evaluate.seed)
    report = {
        "model": {"fingerprint": folder.fingerprint, **folder.decision.model_dump(include={"thresholds", "choices", "chosen_on"})},
        "data": {
            "split": split,
            "sentences": len(held),
            "articles": len(set(held.articles)),
            "groups": len(set(held.groups)),
            "no_label": int((held.truth.sum(1) == 0).sum()),
            "support": dict(zip(labels, held.truth.sum(0).tolist(), strict=True)),
            **({"pairs": True} if held.seconds else {}),
        },
        "interval": {
            "confidence": config.evaluate.confidence,
            "method": "BCa bootstrap over articles, near-duplicate ones together",
            "samples": config.evaluate.bootstrap_samples,
        },
        "systems": {name: _figures(g, held.truth, labels, choices, bootstrap) for name, g in systems.items()},
        "average_precision": _rounded(average_precision_figures(answered, bootstrap)),
        "calibration": _rounded(calibration_of(scores, held.truth, labels, bootstrap)),
        "empty_kept": None if choices else _share(held, given, bootstrap),
        "macro_f1_difference": {
            name: _difference(systems["model"], systems[name], held.truth, labels, choices, bootstrap)
            for name in systems
            if name != "model"
        },
        "citations": _against_citations(held, given, labels, bootstrap),
        "truncated": sum(p.truncated for p in predictions),
        "speed": {"sentences_per_second": round(len(held) / max(seconds, 1e-9), 1), "backend": predictor.backend},
        **more_figures(data, split, answered, folder.serving.pairs, config, bootstrap),
    }
    if cases:
        report["behaviour"] = run_behaviour(cases, predictor, config.evaluate.confidence)
    changed = against_base(base, model, before, answered, config) if base and before else None
    if changed:
        report["base"] = without_changes(changed)
    with replacing_folder(out) as target:
        write_json(target / "report.json", report)
        (target / "report.md").write_text(report_markdown(report) + statistics_markdown(report), encoding="utf-8")
        page = report_page(report, answered, error_cards(data / f"{split}.parquet", answered), changed)
        (target / PAGE_FILE).write_text(page, encoding="utf-8", newline="\n")
        write_predictions(target / PREDICTIONS_FILE, answered)
        errors = _write_errors(target / "errors.jsonl", held, answered)
        run: dict[str, Any] = {"stage": "evaluate", "fingerprint": wanted, "settings": settings, "inputs": dict(inputs), "errors": errors}
        run["files"] = sorted(path.name for path in target.iterdir())
        write_json(target / RUN_FILE, {**run, "libraries": libraries()})
    return report


def _baselines(data: Path, held: LabelledSentences, task: dict[str, Any], config: Config) -> dict[str, np.ndarray]:
    labels, choices = task["labels"], task["choices"]
    train, validation = load_split(data, "train", **task), load_split(data, "validation", **task)
    tfidf = TfidfBaseline(labels, config.evaluate.seed).fit(
        train.words, train.truth, validation.words, validation.truth, validation.articles, config.decision
    )
    if choices:
        often = np.tile(train.truth.sum(0), (len(held), 1))
        return {"majority": likeliest(often, choices), "tfidf": likeliest(tfidf.scores(held.words), choices)}
    return {"rules": rule_baseline(held.words, labels), "tfidf": tfidf.predict(held.words)}


def _figures(given: np.ndarray, truth: np.ndarray, labels: Sequence[str], choices: Choices, bootstrap: GroupBootstrap) -> dict[str, Any]:
    figures: dict[str, Any] = _rounded(scores_of(given, truth, labels))
    for label, intervals in label_intervals(given, truth, labels, bootstrap).items():
        figures["labels"][label] |= intervals
    values, hits, right = None, (given * truth).sum(), (given == truth).all(axis=1)
    micro, floor = bootstrap.micro_f1(given, truth), bootstrap.f1_floor(hits, given.sum(), truth.sum())
    if choices:
        figures |= _rounded(choice_figures(given, truth, labels, choices))
        values = value_columns(given, truth, labels, choices)
        # Of one label for each choice micro F1 is the share of right ones.
        floor = bootstrap.wilson(hits, truth.sum())
        figures["accuracy_interval"] = bootstrap.interval(micro, floor)
    figures["macro_f1_interval"] = bootstrap.macro_f1_interval(given, truth, values)
    figures["micro_f1_interval"] = bootstrap.interval(micro, floor)
    figures["exact_match_interval"] = bootstrap.interval(bootstrap.mean(right.astype(float)), bootstrap.wilson(right.sum(), len(right)))
    return figures


def _share(held: LabelledSentences, given: np.ndarray, bootstrap: GroupBootstrap) -> dict[str, Any]:
    empty = held.truth.sum(1) == 0
    kept = empty & (given.sum(1) == 0)
    found = {"kept": int(kept.sum()), "of": int(empty.sum()), "share": round(float(kept.sum() / max(empty.sum(), 1)), _DIGITS)}
    return {**found, "interval": share_interval(kept, empty, bootstrap)}


def _difference(
    model: np.ndarray, other: np.ndarray, truth: np.ndarray, labels: Sequence[str], choices: Choices, bootstrap: GroupBootstrap
) -> dict[str, Any]:
    """Paired difference of macro-F1: both systems in the same resamples of the same articles."""

    def macro(given: np.ndarray) -> tuple[float, np.ndarray]:
        if choices:
            samples = bootstrap.f1(given, truth, value_columns(given, truth, labels, choices))
            return choice_figures(given, truth, labels, choices)["macro_f1"], samples.mean(1)
        return scores_of(given, truth, labels)["macro_f1"], bootstrap.f1(given, truth).mean(1)

    (point, samples), (other_point, other_samples) = macro(model), macro(other)
    return {"difference": round(point - other_point, _DIGITS), "interval": bootstrap.interval(samples - other_samples)}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, _DIGITS) if isinstance(value, float) else value


def _against_citations(
    held: LabelledSentences, given: np.ndarray, labels: Sequence[str], bootstrap: GroupBootstrap
) -> dict[str, Any] | None:
    """Compare the label `regulation_reference` with what the parser of citations finds in each sentence alone."""
    if REGULATION not in labels:
        return None
    label = given[:, list(labels).index(REGULATION)]
    truth = held.truth[:, list(labels).index(REGULATION)].astype(bool)
    cites = np.array([any(not each.back_reference for each in find_citations(text)) for text in held.sentences])
    found: dict[str, Any] = {}
    for name, each in (("f1_label", label), ("f1_citations", cites), ("f1_either", label | cites)):
        (figures,) = label_intervals(each.astype(int)[:, None], truth.astype(int)[:, None], [name], bootstrap).values()
        found |= {name: _f1(each, truth), f"{name}_interval": figures["f1_interval"]}
    return {
        **found,
        "label_without_citation": [held.sentence_ids[i] for i in np.flatnonzero(label & ~cites)],
        "citation_without_label": [held.sentence_ids[i] for i in np.flatnonzero(cites & ~label)],
    }


def _f1(given: np.ndarray, truth: np.ndarray) -> float:
    return round(2 * int((given & truth).sum()) / max(int(given.sum() + truth.sum()), 1), _DIGITS)


def _write_errors(path: Path, held: LabelledSentences, found: Predictions) -> int:
    """Write the wrongly labelled sentences, the most confidently wrong first."""
    wrong = wrong_sentences(found)
    with JsonlWriter(path) as writer:
        for i in wrong:
            writer.write(
                {
                    "sentence_id": held.sentence_ids[i],
                    "sentence": held.sentences[i],
                    **({SECOND: held.seconds[i]} if held.seconds else {}),
                    "gold": [label for k, label in enumerate(found.labels) if found.truth[i, k]],
                    "labels": [label for k, label in enumerate(found.labels) if found.given[i, k]],
                    "scores": dict(zip(found.labels, map(float, found.scores[i]), strict=True)),
                }
            )
    return len(wrong)
