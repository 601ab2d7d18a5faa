"""The model card (README.md) of a model folder, from its run record and its evaluation report."""

import json
import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from netral.config import EMBEDDED
from netral.errors import NetralError
from netral.io.paths import replacing_file
from netral.labels import label_names
from netral.model_folder import ModelFolder, open_model_folder
from netral.provenance import RUN_FILE, file_digest
from training.report.markdown import rate, weakest_label, with_interval

CARD_FILE, REPORT_FILE = "README.md", "report.json"
# What the embedded encoder was cut from (NOTICE).
_E5 = "intfloat/multilingual-e5-small"
_WHAT = "Multi-label classifier of Indonesian news sentences about the neutrality of civil servants (ASN) in elections."
_EMBEDDED = (
    "This is **not IndoBERT**: it is fine-tuned from the small encoder embedded in netral (multilingual-e5-small with its "
    "vocabulary cut to Indonesian), so that netral works without a model hub. "
    "For best quality fine-tune IndoBERT with configs/recipes/indobert-base.yaml."
)
_LIMITS = (
    "- The labels are judged sentence by sentence; the model does not see the rest of the article. A label is a statement about what a "
    "sentence says, not about whether anyone broke a rule."
)
_NETRAL = """from inference import Predictor

Predictor("MODEL_DIR").predict([{example}])  # {what}"""
_PIPELINE = """from transformers import pipeline  # {plain}

pipeline("text-classification", "MODEL_DIR", top_k=None, function_to_apply="sigmoid", truncation=True)("ASN dilarang ikut kampanye.")"""
_CLASSES = """from transformers import AutoModelForSequenceClassification, AutoTokenizer  # {plain}

model = AutoModelForSequenceClassification.from_pretrained("MODEL_DIR")
logits = model(**AutoTokenizer.from_pretrained("MODEL_DIR")({inputs}, truncation=True, return_tensors="pt")).logits"""
# Slices and groups of cases that are named as weak; report.json has them all.
_WEAKEST = 3


def write_card(folder: Path, run: dict[str, Any], report: dict[str, Any] | None = None) -> None:
    """Write README.md from the run record of a training and, where the folder has one, the report of an evaluation in it."""
    settings = run["settings"]
    embedded = settings["model"]["encoder"] == EMBEDDED
    labels = label_names(settings["labels"])
    parts = [
        f"# {_title(run)}",
        f"{_what(settings)} Labels: {', '.join(f'`{label}`' for label in labels)}." + (f"\n\n{_EMBEDDED}" if embedded else ""),
        "## Data\n\n" + "\n".join(_data(run)),
        "## Figures\n\n" + ("\n".join(_figures(report, file_digest(folder / REPORT_FILE))) if report else "\n".join(_no_figures(run))),
        "## Limits\n\n" + "\n".join(_limits(run, report)),
        f"## Use\n\n```python\n{_usage(run)}\n```",
        "## Licence\n\n" + _licence(embedded),
    ]
    metadata = _metadata(run, report, embedded)
    card = ModelCard(f"---\n{metadata.to_yaml()}\n---\n" + "\n\n".join(parts) + "\n", ignore_metadata_errors=False)
    with replacing_file(folder / CARD_FILE) as beside:
        # Written by ourselves: ModelCard.save ends lines as the machine does.
        beside.write_text(str(card), encoding="utf-8", newline="\n")


def rewrite_card(model: Path, report: Path | None) -> ModelFolder:
    """Write the card of a model anew, with the figures of a report folder, which is copied into the model as report.json.

    Without ``report`` the one is used that is in the model folder already, if any. The model's fingerprint stays what it is.

    Raises:
        NetralError: The model was not made by `netral train`, or the report is missing, damaged or of another model.
    """
    folder = open_model_folder(model)
    try:
        run = json.loads((model / RUN_FILE).read_text(encoding="utf-8"))
        if run.get("stage") not in ("train", "distill"):
            raise ValueError("it records no training")
    except (OSError, ValueError, AttributeError) as error:
        raise NetralError(
            f"{model / RUN_FILE}: not the record of a training ({error})", "pass a folder that `netral train` wrote"
        ) from None
    source = report / REPORT_FILE if report else model / REPORT_FILE
    figures = read_report(source, folder) if report or source.exists() else None
    if report:
        with replacing_file(model / REPORT_FILE) as beside:
            shutil.copyfile(source, beside)
    write_card(model, run, figures)
    return folder


def read_report(path: Path, folder: ModelFolder) -> dict[str, Any]:
    """Read the report of an evaluation and check that it is of this model.

    Raises:
        NetralError: It is missing, damaged or of another model.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        fingerprint, _ = report["model"]["fingerprint"], report["systems"]["model"]["labels"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NetralError(
            f"{path}: no report of `netral evaluate` ({type(error).__name__})", "evaluate the model and pass the folder with --report"
        ) from None
    if fingerprint != folder.fingerprint:
        raise NetralError(f"{path}: of the model {fingerprint}, not of {folder.fingerprint}", "evaluate this model with `netral evaluate`")
    return dict(report)


def _title(run: dict[str, Any]) -> str:
    return f"netral, fine-tuned from {_encoder(run)}"


def _encoder(run: dict[str, Any]) -> str:
    encoder: str = run["settings"]["model"]["encoder"]
    if encoder == EMBEDDED:
        return "netral's embedded encoder"
    # Where an encoder lies on the machine that trained is nobody else's business.
    return _hub_name(run) or Path(encoder).name


def _hub_name(run: dict[str, Any]) -> str | None:
    """Return the encoder's name on a hub, or nothing if it came from a folder (of which records of older versions say nothing)."""
    encoder: str = run["settings"]["model"]["encoder"]
    return None if encoder == EMBEDDED or run["encoder"].get("local", True) else encoder


def _what(settings: dict[str, Any]) -> str:
    single, pairs = settings.get("task") == "single_label", settings.get("pairs", False)
    if not (single or pairs):
        return _WHAT
    unit = "pairs of Indonesian sentences" if pairs else "Indonesian sentences"
    if not single:
        return f"Multi-label classifier of {unit}."
    each = f", one value for each of {len(settings['labels'])} aspects" if isinstance(settings["labels"], dict) else ""
    return f"Single-label classifier of {unit}{each}."


def _metadata(run: dict[str, Any], report: dict[str, Any] | None, embedded: bool) -> ModelCardData:
    base = _E5 if embedded else _hub_name(run)
    given: dict[str, Any] = {"language": "id", "library_name": "transformers", "pipeline_tag": "text-classification"}
    given |= {"license": "mit"} if embedded else {}
    given |= {"base_model": base} if base else {}
    if report:
        given |= {"model_name": _title(run), "eval_results": _results(report), "metrics": ["f1"]}
    return ModelCardData(**given)


def _results(report: dict[str, Any]) -> list[EvalResult]:
    data, model = report["data"], report["systems"]["model"]
    shared = {
        "task_type": "text-classification",
        "dataset_type": "netral",
        "dataset_name": f"{data['split']} split, {data['sentences']} sentences of {data['articles']} articles",
        "dataset_split": data["split"],
        "metric_type": "f1",
    }
    # Not "verified" in the hub's sense: `netral evaluate` measured them.
    results = [EvalResult(metric_name="macro F1", metric_value=model["macro_f1"], **shared)]
    return results + [
        EvalResult(metric_name=f"F1 {label}", metric_value=figures["f1"], **shared) for label, figures in model["labels"].items()
    ]


def _data(run: dict[str, Any]) -> list[str]:
    settings, counts, chosen = run["settings"], run["counts"], run["decision"]["chosen_on"]
    chosen_what = "calibration and thresholds" if run["decision"]["thresholds"] else "calibration"
    lines = [
        f"- Fine-tuned from {_encoder(run)} ({run['encoder']['parameters'] / 1e6:.1f} million parameters)",
        f"- Trained on {counts['train']} sentences{_positives(counts.get('positives'))}",
        f"- Early stopping on {counts['validation']} validation sentences; {chosen_what} "
        f"chosen on {chosen['sentences']} sentences ({chosen['split']}){_positives(chosen.get('positives'))}",
    ]
    if not settings["prepare"].get("splits"):
        lines.append("- Split by near-duplicate groups of articles: no article, and no near copy of one, is in two splits")
    if _uses_words(run):
        lines.append(
            "- Beside the encoder stands a linear model of words (`lexical.safetensors`); netral adds the two, plain transformers does not"
        )
    if taught := run.get("distillation"):
        kept, teachers = taught["counts"]["kept"], ", ".join(taught["teachers"])
        lines.append(f"- Of the sentences trained on, {kept} were labelled by other models (fingerprints: {teachers}), not by people")
    return [*lines, "- Versions, seed, all settings and the digests of the data: `run.json`; thresholds and calibration: `decision.json`"]


def _uses_words(run: dict[str, Any]) -> bool:
    return any(each.get("lexical") for each in run["decision"]["calibration"].values())


def _positives(counts: dict[str, int] | None) -> str:
    return f": {', '.join(f'{n} `{label}`' for label, n in counts.items())}" if counts else ""


def _no_figures(run: dict[str, Any]) -> list[str]:
    """Return the figure of the validation split, which chose the model and so flatters it."""
    figure = "macro F1" if run["settings"].get("task") == "single_label" else "macro average precision"
    value = run["validation_" + figure.lower().replace(" ", "_")] or 0.0
    return [
        f"Not evaluated. Validation {figure}, on the sentences that chose the model and so too high: {value:.3f}. "
        "`netral evaluate`, then `netral card --report`, puts figures here."
    ]


def _figures(report: dict[str, Any], digest: str) -> list[str]:
    data, interval, model = report["data"], report["interval"], report["systems"]["model"]
    lines = [
        f"On the {data['split']} split: {data['sentences']} sentences of {data['articles']} articles, {data['no_label']} without a label. "
        f"{interval['confidence']:.0%} intervals: {interval['method']}. Calibration error: mean gap of probability and frequency. "
        f"Of the model `{report['model']['fingerprint']}`, all figures: `{REPORT_FILE}` (SHA-256 `{digest[:16]}`).",
        "",
        "| label | n | F1 | precision | recall | calibration error |",
        "|---|---|---|---|---|---|",
    ]
    for label, each in model["labels"].items():
        error = report.get("calibration", {}).get(label)
        shown = f"{error['ece']:.3f} [{error['ece_interval'][0]:.3f}, {error['ece_interval'][1]:.3f}]" if error else "–"
        f1 = with_interval(each["f1"], each["f1_interval"])
        rates = [rate(each, name, interval=False) for name in ("precision", "recall")]
        lines.append(f"| `{label}` | {each['support']} | {f1} | {' | '.join(rates)} | {shown} |")
    lines += [f"| **macro** | | {with_interval(model['macro_f1'], model['macro_f1_interval'])} | | | |"]
    if behaviour := report.get("behaviour"):
        lines += [
            "",
            f"Behaviour suite: {behaviour['passed']} of {behaviour['cases']} short cases pass.",
            "",
            "| group | cases | pass rate |",
        ]
        lines += ["|---|---|---|"]
        lines += [
            f"| {g} | {each['cases']} | {with_interval(each['pass_rate'], each['interval'])} |" for g, each in behaviour["groups"].items()
        ]
    return lines


def _limits(run: dict[str, Any], report: dict[str, Any] | None) -> list[str]:
    settings, cut = run["settings"], run["counts"]["truncated"]
    lines = [] if settings.get("pairs") or settings.get("task") == "single_label" else [_LIMITS]
    lines.append(
        f"- Trained on at most {settings['model']['max_length']} tokens of a sentence "
        f"({cut['train']} sentences of train, {cut['validation']} of validation were cut)"
    )
    if not report:
        return lines
    if report["data"]["split"] != "test":
        lines.append(
            f"- The figures are of the {report['data']['split']} split, which the model or its thresholds were made on: they are too high"
        )
    if name := weakest_label(report):
        weakest = report["systems"]["model"]["labels"][name]
        lines.append(f"- Weakest label: `{name}`, F1 {with_interval(weakest['f1'], weakest['f1_interval'])}, n = {weakest['support']}")
    for baseline, found in report.get("macro_f1_difference", {}).items():
        low, high = found["interval"]
        if low <= 0:
            said = "Not shown to be better than" if high >= 0 else "Worse than"
            lines.append(f"- {said} the baseline `{baseline}`: macro F1 {found['difference']:+.2f} [{low:+.2f}, {high:+.2f}]")
    if (kept := report.get("empty_kept")) and kept["of"]:
        lines.append(f"- {kept['of'] - kept['kept']} of {kept['of']} sentences without a label got one")
    slices = [
        (each["macro_f1"], f"{name} {each['value']}", each)
        for name, found in report.get("slices", {}).items()
        for each in found or []
        if each["macro_f1"] is not None and not each["small"]
    ]
    if slices:
        shown = (
            f"{name} {with_interval(f1, each['macro_f1_interval'])}" for f1, name, each in sorted(slices, key=lambda s: s[:2])[:_WEAKEST]
        )
        lines.append(f"- Weakest slices by macro F1, small ones apart: {'; '.join(shown)}")
    groups = report.get("behaviour", {}).get("groups", {})
    low_groups = sorted((each["pass_rate"], group) for group, each in groups.items() if each["passed"] < each["cases"])[:_WEAKEST]
    if low_groups:
        lines.append("- Weakest groups of the behaviour suite: " + ", ".join(f"{group} {rate:.2f}" for rate, group in low_groups))
    return lines


def _usage(run: dict[str, Any]) -> str:
    settings = run["settings"]
    plain = "the same logits, without calibration and thresholds"
    if _uses_words(run):
        plain = "the encoder's logits alone, without the model of words, calibration and thresholds"
    single, pairs = settings.get("task") == "single_label", settings.get("pairs", False)
    if not (single or pairs):
        return (
            _NETRAL.format(example='"ASN dilarang ikut kampanye."', what="labels and calibrated scores")
            + "\n\n"
            + _PIPELINE.format(plain=plain)
        )
    what = "exactly one label of each choice" if single else "labels and calibrated scores"
    example = '("Kalimat pertama.", "Kalimat kedua.")' if pairs else '"Satu kalimat."'
    return _NETRAL.format(example=example, what=what) + "\n\n" + _CLASSES.format(inputs=example.strip("()"), plain=plain)


def _licence(embedded: bool) -> str:
    if embedded:
        return (
            "MIT. The encoder is derived from multilingual-e5-small by Liang Wang, Nan Yang, Xiaolong Huang, Binxing Jiao, Linjun Yang, "
            "Daxin Jiang, Rangan Majumder and Furu Wei (Microsoft), MIT License, arXiv:2402.05672."
        )
    return "Not stated here: that of the encoder and of the labels it was trained on apply. Add it before you publish the model."
