"""The model card (README.md) of a model folder."""

from pathlib import Path
from typing import Any

_CARD = """---
library_name: transformers
pipeline_tag: text-classification
language: id
---
# {name}

Multi-label classifier of Indonesian news sentences about the neutrality of civil servants in elections.
Labels: {labels}. {origin}

- Fine-tuned from: `{encoder}` ({parameters:.1f} million parameters)
- Trained on: {train} sentences; validation (early stopping, calibration, thresholds): {validation} sentences
{taught}- Validation macro average precision: {ap:.3f}
- Sentences longer than {max_length} tokens are cut: {cut_train} of train, {cut_validation} of validation
- Versions, seed and all settings: `run.json`; thresholds and calibration: `decision.json`

```python
from inference import Predictor
Predictor("{name}").predict(["ASN dilarang ikut kampanye."])

from transformers import pipeline  # the same logits, without calibration and thresholds
pipeline("text-classification", "{name}", top_k=None, function_to_apply="sigmoid")("ASN dilarang ikut kampanye.")
```

The labels are judged sentence by sentence; the model does not see the rest of the article. A label is a statement about
what a sentence says, not about whether anyone broke a rule.
"""
_EMBEDDED = (
    "This is **not IndoBERT**: it is fine-tuned from the small encoder embedded in netral (multilingual-e5-small with its "
    "vocabulary cut to Indonesian), so that netral works without a model hub. "
    "For best quality fine-tune IndoBERT with configs/recipes/indobert-base.yaml."
)
_TAUGHT = "- Of the sentences trained on, {kept} were labelled by other models (fingerprints: {teachers}), not by people\n"


def write_card(folder: Path, run: dict[str, Any]) -> None:
    """Write README.md from the run record of a training."""
    settings = run["settings"]
    encoder, taught = settings["model"]["encoder"], run.get("distillation")
    text = _CARD.format(
        name="MODEL_DIR",
        labels=", ".join(f"`{label}`" for label in settings["labels"]),
        origin=_EMBEDDED if encoder == "embedded" else "",
        encoder="netral's embedded encoder" if encoder == "embedded" else Path(encoder).name if encoder.startswith("/") else encoder,
        parameters=run["encoder"]["parameters"] / 1e6,
        train=run["counts"]["train"],
        validation=run["counts"]["validation"],
        taught=_TAUGHT.format(kept=taught["counts"]["kept"], teachers=", ".join(taught["teachers"])) if taught else "",
        ap=run["validation_macro_average_precision"] or 0.0,
        max_length=settings["model"]["max_length"],
        cut_train=run["counts"]["truncated"]["train"],
        cut_validation=run["counts"]["truncated"]["validation"],
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
