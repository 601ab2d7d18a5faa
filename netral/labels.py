"""The four labels of the codebook (docs/labels.md), and how any other label set is written."""

from collections.abc import Mapping, Sequence

LABELS: tuple[str, ...] = ("warning", "sanction_threat", "permission", "regulation_reference")


def label_names(labels: Sequence[str] | Mapping[str, Sequence[str]]) -> list[str]:
    """Return the name of each output of a model: the labels, or every value of every aspect.

    >>> label_names({"fuel": ["good", "bad"], "price": ["good"]})
    ['fuel:good', 'fuel:bad', 'price:good']
    """
    if isinstance(labels, Mapping):
        return [f"{aspect}:{value}" for aspect, values in labels.items() for value in values]
    return list(labels)


def value_of(name: str, aspect: str) -> str:
    """Return the value in the name of an output; ``aspect`` is empty for labels without aspects.

    >>> value_of("fuel:good", "fuel"), value_of("good", "")
    ('good', 'good')
    """
    return name.removeprefix(f"{aspect}:") if aspect else name
