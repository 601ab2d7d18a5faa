"""The model card (README.md) of a model folder."""

from pathlib import Path
from typing import Any

from netral.labels import label_names

_CARD = """---
library_name: transformers
pipeline_tag: text-classification
language: id
---
# {name}

{what}
Labels: {labels}. {origin}

- Fine-tuned from: `{encoder}` ({parameters:.1f} million parameters)
- Trained on: {train} sentences; validation (early stopping, calibration, thresholds): {validation} sentences
{taught}- Validation {figure}: {value:.3f}
- Sentences longer than {max_length} tokens are cut: {cut_train} of train, {cut_validation} of validation
- Versions, seed and all settings: `run.json`; thresholds and calibration: `decision.json`

```python
{usage}
```
{limits}"""
_WHAT = "Multi-label classifier of Indonesian news sentences about the neutrality of civil servants in elections."
_USAGE = """from inference import Predictor
Predictor("{name}").predict(["ASN dilarang ikut kampanye."])

from transformers import pipeline  # the same logits, without calibration and thresholds
pipeline("text-classification", "{name}", top_k=None, function_to_apply="sigmoid")("ASN dilarang ikut kampanye.")"""
_LIMITS = """
The labels are judged sentence by sentence; the model does not see the rest of the article. A label is a statement about
what a sentence says, not about whether anyone broke a rule.
"""
_EMBEDDED = (
    "This is **not IndoBERT**: it is fine-tuned from the small encoder embedded in netral (multilingual-e5-small with its "
    "vocabulary cut to Indonesian), so that netral works without a model hub. "
    "For best quality fine-tune IndoBERT with configs/recipes/indobert-base.yaml."
)
_TAUGHT = "- Of the sentences trained on, {kept} were labelled by other models (fingerprints: {teachers}), not by people\n"
_SINGLE_USAGE = """from inference import Predictor
Predictor("{name}").predict(["Satu kalimat."])  # exactly one label of each choice, with its calibrated softmax

from transformers import AutoModelForSequenceClassification, AutoTokenizer  # the same logits, without calibration
model, tokenizer = AutoModelForSequenceClassification.from_pretrained("{name}"), AutoTokenizer.from_pretrained("{name}")
model(**tokenizer("Satu kalimat.", truncation=True, return_tensors="pt")).logits"""
_PAIR_USAGE = """from inference import Predictor
Predictor("{name}").predict([("Kalimat pertama.", "Kalimat kedua.")])

from transformers import AutoModelForSequenceClassification, AutoTokenizer  # the same logits, without calibration
model, tokenizer = AutoModelForSequenceClassification.from_pretrained("{name}"), AutoTokenizer.from_pretrained("{name}")
model(**tokenizer("Kalimat pertama.", "Kalimat kedua.", truncation=True, return_tensors="pt")).logits"""


def _other_task(settings: dict[str, Any]) -> str:
    unit = "pairs of Indonesian sentences" if settings["pairs"] else "Indonesian sentences"
    if settings["task"] == "multi_label":
        return f"Multi-label classifier of {unit}."
    each = f", one value for each of {len(settings['labels'])} aspects" if isinstance(settings["labels"], dict) else ""
    return f"Single-label classifier of {unit}{each}."


def write_card(folder: Path, run: dict[str, Any]) -> None:
    """Write README.md from the run record of a training."""
    settings = run["settings"]
    encoder, taught = settings["model"]["encoder"], run.get("distillation")
    single, pairs = settings["task"] == "single_label", settings["pairs"]
    figure = "macro F1" if single else "macro average precision"
    text = _CARD.format(
        name="MODEL_DIR",
        what=_other_task(settings) if single or pairs else _WHAT,
        labels=", ".join(f"`{label}`" for label in label_names(settings["labels"])),
        origin=_EMBEDDED if encoder == "embedded" else "",
        encoder="netral's embedded encoder" if encoder == "embedded" else Path(encoder).name if encoder.startswith("/") else encoder,
        parameters=run["encoder"]["parameters"] / 1e6,
        train=run["counts"]["train"],
        validation=run["counts"]["validation"],
        taught=_TAUGHT.format(kept=taught["counts"]["kept"], teachers=", ".join(taught["teachers"])) if taught else "",
        figure=figure,
        value=run["validation_" + figure.lower().replace(" ", "_")] or 0.0,
        max_length=settings["model"]["max_length"],
        cut_train=run["counts"]["truncated"]["train"],
        cut_validation=run["counts"]["truncated"]["validation"],
        usage=(_PAIR_USAGE if pairs else _SINGLE_USAGE if single else _USAGE).format(name="MODEL_DIR"),
        limits="" if single or pairs else _LIMITS,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
