"""Takes the labels of a sentence record from its fields, in each of the ways that data sets write them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from netral.config import Config
from netral.labels import label_names
from netral.records import SECOND, Reject, Sentence

_YES_NO: dict[Any, bool] = {"0": False, "1": True, "false": False, "true": True}


def with_labels(sentence: Sentence, config: Config) -> Sentence | Reject:
    """Return a sentence with its labels in ``gold`` (None where it has none), or why they cannot be used.

    They stand in the list `labels`; for one of several labels in the field ``prepare.label_field``; for aspects in fields of their
    names; for several labels in fields of their names that hold 0 or 1. Those fields then leave the passed-through ones.
    """
    if config.pairs and not str(sentence.meta.get(SECOND) or "").strip():
        return Reject(sentence.file, sentence.row, "missing_field", f"no text in `{SECOND}`, and pairs is true", sentence.sentence_id)
    fields = _label_fields(config)
    present = [name for name in fields if sentence.meta.get(name) is not None]
    if sentence.gold is None and not present:
        return sentence
    if sentence.gold is not None:
        gold, used = list(sentence.gold), []
    else:
        given = {name: str(sentence.meta[name]).strip() for name in present}
        if config.task == "multi_label":
            # Anything but 0 and 1 in a field that happens to have a label's name is no label.
            if len(given) < len(fields) or any(value.lower() not in _YES_NO for value in given.values()):
                return sentence
            gold = [name for name, value in given.items() if _YES_NO[value.lower()]]
        elif isinstance(config.labels, dict):
            gold = [name for aspect, value in given.items() for name in label_names({aspect: [value]})]
        else:
            gold = list(given.values())
        used = present
    problem = label_problem(gold, config)
    if problem:
        return Reject(sentence.file, sentence.row, *problem, sentence.sentence_id)
    return replace(sentence, gold=tuple(gold), meta={key: value for key, value in sentence.meta.items() if key not in used})


def _label_fields(config: Config) -> list[str]:
    return [config.prepare.label_field] if config.task == "single_label" and not isinstance(config.labels, dict) else list(config.labels)


def label_problem(gold: Sequence[str], config: Config) -> tuple[str, str] | None:
    """Return reason and detail of what is wrong with the labels of a sentence, or None."""
    strange = [label for label in gold if label not in config.label_names]
    if strange:
        return "unknown_label", f"label {strange[0]!r}"
    for aspect, choice in config.choices.items():
        found = [label for label in gold if label in choice]
        if len(found) != 1:
            return "not_one_label", f"{len(found)} labels{f' of {aspect}' if aspect else ''} where exactly one is expected"
    return None
