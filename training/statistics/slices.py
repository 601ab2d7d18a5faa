"""Where is the model weak? The same figures on parts of the test split: by outlet, year, place in the article and other properties."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netral.citations import find_citations
from netral.text import model_text
from training.evaluation.metrics import f1_of
from training.statistics.bootstrap import GroupBootstrap

# Under ten positives one sentence moves recall by more than 10 points.
SMALL = 10
# More values than these are joined: a table of two hundred outlets with one article each tells nothing.
_VALUES = 12
_OTHERS = "others"
_MISSING = "unknown"
_QUOTE = re.compile(r"[\"“”„]")
_SENTENCE_END = re.compile(r"[.!?…:;,][\"”’')\]]*\s*$")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_OUTLET_FIELDS = ("outlet", "source", "media", "site")
_DIGITS = 4


def length_of(sentence: str) -> str:
    """Return a sentence's class of length in words.

    >>> length_of("ASN harus netral.")
    'up to 10 words'
    """
    words = len(sentence.split())
    return "up to 10 words" if words <= 10 else "11 to 25 words" if words <= 25 else "over 25 words"


def part_of(sentence: str, first: bool) -> str:
    """Return which part of an article a sentence is: its first one without a full stop is the headline.

    >>> part_of("Bupati Ingatkan ASN", first=True), part_of("“Jangan ikut kampanye,” katanya.", first=False)
    ('headline', 'quotation')
    """
    if first and not _SENTENCE_END.search(sentence):
        return "headline"
    return "quotation" if _QUOTE.search(sentence) else "body"


def year_of(meta: Mapping[str, Any]) -> str:
    """Return the year of a record's date.

    >>> year_of({"date": "Senin, 5/8/2024 14:22"})
    '2024'
    """
    found = _YEAR.search(str(meta.get("date") or ""))
    return found.group() if found else _MISSING


def outlet_of(meta: Mapping[str, Any]) -> str:
    """Return a record's outlet.

    >>> outlet_of({"source": "Kabar Contoh"})
    'Kabar Contoh'
    """
    return next((str(meta[name]) for name in _OUTLET_FIELDS if meta.get(name)), _MISSING)


def has_citation(sentence: str) -> str:
    """Tell whether a sentence names a regulation.

    >>> has_citation("Hal itu diatur dalam UU Nomor 5 Tahun 2014.")
    'yes'
    """
    return "yes" if any(not each.back_reference for each in find_citations(model_text(sentence))) else "no"


def slice_values(
    name: str, sentences: Sequence[str], firsts: Sequence[bool], metas: Sequence[Mapping[str, Any]], similarity: np.ndarray | None
) -> list[str] | None:
    """Return the value of a slice for each sentence; None where the data hold nothing of it.

    Args:
        name: ``outlet``, ``year``, ``part``, ``length``, ``citation``, ``similarity``, or a field of ``meta``.
        sentences: The sentences.
        firsts: Whether each is the first of its article.
        metas: The fields of its record.
        similarity: To the nearest sentence of another split, if that is known.
    """
    by_meta: dict[str, Callable[[Mapping[str, Any]], str]] = {"outlet": outlet_of, "year": year_of}
    if name == "part":
        return [part_of(sentence, first) for sentence, first in zip(sentences, firsts, strict=True)]
    if name == "length":
        return [length_of(sentence) for sentence in sentences]
    if name == "citation":
        return [has_citation(sentence) for sentence in sentences]
    if name == "similarity":
        return None if similarity is None else [_similarity(value) for value in similarity]
    values = [by_meta[name](meta) if name in by_meta else _field(meta.get(name)) for meta in metas]
    return None if set(values) == {_MISSING} else values


def _field(value: Any) -> str:
    if value is None or value == "":
        return _MISSING
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _similarity(value: float) -> str:
    return "under 0.2" if value < 0.2 else "0.2 to 0.4" if value < 0.4 else "0.4 and more"


def slice_figures(
    values: Sequence[str], given: np.ndarray, truth: np.ndarray, labels: Sequence[str], groups: Sequence[int], bootstrap: GroupBootstrap
) -> list[dict[str, Any]]:
    """Return the figures of each value of a slice, the most frequent first.

    Macro F1 of a slice is over the labels that occur in it. Resamples are those of the whole split, so that the size of a slice varies too.
    """
    joined = _joined(values)
    names, number = np.array(joined), np.array(groups)
    return [_one(value, names == value, given, truth, labels, number, bootstrap) for value in _ordered(joined)]


def _joined(values: Sequence[str]) -> list[str]:
    counts = Counter(values)
    if len(counts) <= _VALUES:
        return list(values)
    kept = {value for value, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: _VALUES - 1]}
    return [value if value in kept else _OTHERS for value in values]


def _ordered(values: Sequence[str]) -> list[str]:
    return [value for value, _ in sorted(Counter(values).items(), key=lambda item: (item[0] == _OTHERS, -item[1], item[0]))]


def _one(
    value: str, mask: np.ndarray, given: np.ndarray, truth: np.ndarray, labels: Sequence[str], groups: np.ndarray, bootstrap: GroupBootstrap
) -> dict[str, Any]:
    inside = mask[:, None].astype(int)
    given, truth = given * inside, truth * inside
    hits, chosen, positives = (given * truth).sum(0), given.sum(0), truth.sum(0)
    rows = bootstrap.ratio(2 * given * truth, given + truth)
    f1 = f1_of(hits, chosen, positives)
    floors = [bootstrap.f1_floor(*counts) for counts in zip(hits, chosen, positives, strict=True)]
    occurring = np.flatnonzero(positives)
    macro = macro_interval = None
    if len(occurring):
        macro = round(float(f1[occurring].mean()), _DIGITS)
        floor = bootstrap.mean_floor(f1[occurring].tolist(), [floors[k] for k in occurring])
        macro_interval = bootstrap.interval(_mean_of_defined(rows[:, occurring]), floor)
    return {
        "value": value,
        "sentences": int(mask.sum()),
        "groups": len(set(groups[mask].tolist())),
        "small": bool(positives.sum() < SMALL),
        "macro_f1": macro,
        "macro_f1_interval": macro_interval,
        "labels": {
            label: {
                "support": int(positives[k]),
                "predicted": int(chosen[k]),
                "f1": round(float(f1[k]), _DIGITS),
                "f1_interval": bootstrap.interval(rows[:, k], floors[k]),
                "small": bool(positives[k] < SMALL),
            }
            for k, label in enumerate(labels)
        },
    }


def _mean_of_defined(rows: np.ndarray) -> np.ndarray:
    """Average over labels in every row, over those that a resample holds."""
    defined = np.isfinite(rows)
    count = defined.sum(axis=1)
    return np.where(count > 0, np.where(defined, rows, 0).sum(axis=1) / np.maximum(count, 1), np.nan)
