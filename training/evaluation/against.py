"""What `netral evaluate --base` holds a model against: another model, or its report on the same sentences."""

from pathlib import Path
from typing import Any

from netral.config import Config
from netral.model_folder import open_model_folder
from netral.provenance import file_digest
from training.statistics.compare import compare, is_model, load_system, system_names
from training.statistics.predictions import PREDICTIONS_FILE, Predictions, read_predictions, same_sentences


def base_inputs(base: Path | None, model: Path) -> list[tuple[str, str]]:
    """Return what a base adds to the inputs of an evaluation: what the two are called, and a digest of the base's model or answers.

    Raises:
        NetralError: The base is neither a model nor a report, or the model itself.
    """
    if base is None:
        return []
    names = " against ".join(reversed(system_names([base, model])))
    if is_model(base):
        return [(names, open_model_folder(base).fingerprint)]
    read_predictions(base)
    return [(names, file_digest(base / PREDICTIONS_FILE))]


def base_answers(base: Path, model: Path, gold: Predictions, data: Path, split: str, config: Config) -> Predictions:
    """Return what the base answered, before the model is asked: sentences that are not the same cost no time then.

    Args:
        base: A report folder or a model folder.
        model: The model that is evaluated.
        gold: The sentences of the split; what was given there is not looked at.
        data: The data set, for a model folder to label.
        split: The split of it.
        config: How to label.

    Raises:
        NetralError: The base did not answer these sentences, or has other labels.
    """
    before = load_system(base, data, split, config)
    first, second = system_names([base, model])
    same_sentences(before, gold, (first, second))
    return before


def against_base(base: Path, model: Path, before: Predictions, after: Predictions, config: Config) -> dict[str, Any]:
    """Compare the model with the base (training.statistics.compare.compare)."""
    return compare(dict(zip(system_names([base, model]), (before, after), strict=True)), config)


def without_changes(changed: dict[str, Any]) -> dict[str, Any]:
    """Return a comparison without its sentences, as report.json holds it."""
    return {**changed, "models": {name: {"figures": each["figures"]} for name, each in changed["models"].items()}}
