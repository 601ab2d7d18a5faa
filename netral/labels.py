"""The four labels of the codebook (docs/labels.md), and how any other label set is written."""

from collections.abc import Mapping, Sequence

LABELS: tuple[str, ...] = ("warning", "sanction_threat", "permission", "regulation_reference")

# The first line of the codebook on each, for pages on which people judge sentences.
MEANINGS: dict[str, str] = {
    "warning": (
        "cautions, reminds, urges, instructs or forbids public officials about their own conduct, or says that a conduct of theirs is "
        "improper or harmful"
    ),
    "sanction_threat": "says that who violates will, may or must be punished, or names the punishment that a violation carries",
    "permission": "says that public officials may do something, have a right, are exempt from a ban, or are given leeway",
    "regulation_reference": "names an identifiable legal instrument: a type with a number, year, article or issuer",
}


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
