"""What a user wants of a label, as written behind `--goal`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from netral.errors import NetralError

_FORM = re.compile(r"^(?:(?P<label>[^:=]+):)?(?P<kind>f1|precision|recall|review)(?:=(?P<value>\d+(?:\.\d+)?)(?P<day>/day)?)?$")
_EXAMPLES = "f1, precision=0.95, recall=0.9 or review=200/day, for one label warning:precision=0.95"


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal.

    Attributes:
        kind: ``f1``, ``precision``, ``recall`` or ``review``.
        value: The share to reach, or the sentences that people can look at in a day.
        label: The label that it is for; None is every label without a goal of its own.
    """

    kind: str
    value: float | None = None
    label: str | None = None

    def __str__(self) -> str:
        """Return the goal without its label."""
        if self.value is None:
            return self.kind
        return f"{self.kind}={self.value:g}" + ("/day" if self.kind == "review" else "")


def parse_goal(text: str, labels: Sequence[str]) -> Goal:
    """Read a goal.

    Raises:
        NetralError: It is not of a known form, or names an unknown label.

    >>> parse_goal("warning:precision=0.95", ["warning"])
    Goal(kind='precision', value=0.95, label='warning')
    """
    found = _FORM.match(text.strip())
    kind = found["kind"] if found else ""
    value = float(found["value"]) if found and found["value"] else None
    shaped = found and (kind == "f1") == (value is None) and (kind == "review") == bool(found["day"])
    if not found or not shaped or (value is not None and (value <= 0 or (kind != "review" and value > 1))):
        raise NetralError(f"--goal {text}: unknown", f"give {_EXAMPLES}")
    if found["label"] and found["label"] not in labels:
        raise NetralError(f"--goal {text}: no label {found['label']}", f"the model has {', '.join(labels)}")
    return Goal(kind, value, found["label"])


def goals_by_label(goals: Sequence[Goal], labels: Sequence[str], review: bool) -> dict[str, Goal]:
    """Return the goal of each label that has one: its own, else the general one; review goals apart from the others."""
    wanted = [goal for goal in goals if (goal.kind == "review") == review]
    found = {}
    for label in labels:
        mine = [goal for goal in wanted if goal.label == label] or [goal for goal in wanted if goal.label is None]
        if len(mine) > 1:
            raise NetralError(f"two goals for {label}: {mine[0]} and {mine[1]}", "give one for each label, and one review goal beside it")
        if mine:
            found[label] = mine[0]
    return found
