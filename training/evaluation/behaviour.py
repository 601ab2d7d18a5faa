"""Short cases by groups that a model must label rightly: what a figure over a corpus hides (docs/behaviour.md).

The idea and the two kinds of case (minimum functionality and invariance) are those of Ribeiro et al. 2020,
"Beyond Accuracy: Behavioral Testing of NLP Models with CheckList".
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, model_validator
from scipy.stats import binomtest

from netral.config import parse_yaml
from netral.errors import NetralError
from netral.io.paths import replacing_file
from netral.records import Prediction

# They stand in the checkout only: tests are not packaged.
CASES = Path(__file__).parents[2] / "tests" / "behaviour" / "cases"
FLOORS = CASES.parent / "floors.yaml"
# Rates in the floors file are cut, never rounded up, so that a model always reaches the floor that it set.
_FLOOR_DIGITS = 4
_DIGITS = 4
_Text = Annotated[StrictStr, Field(min_length=1)]


class Labeller(Protocol):
    """What labels sentences, as inference.Predictor does."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it knows."""

    def predict(self, sentences: Sequence[str]) -> list[Prediction]:
        """Return one prediction for each sentence, in order."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        id: Its name, unique in the folder.
        group: The name of the file it stands in.
        rule: The rule of the codebook that it tests.
        sentences: One sentence, or several that must all get the same labels.
        present: Labels that every sentence must get.
        absent: Labels that no sentence may get; labels in neither are not tested.
    """

    id: str
    group: str
    rule: str
    sentences: tuple[str, ...]
    present: frozenset[str]
    absent: frozenset[str]


class _Entry(BaseModel):
    """A case as it is written in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: _Text
    rule: _Text
    text: _Text | None = None
    same: list[_Text] = Field(default=[], min_length=2)
    present: list[StrictStr] = []
    absent: list[StrictStr] | Literal["rest"] = []

    @model_validator(mode="after")
    def _tests_something(self) -> "_Entry":
        if (self.text is None) == (not self.same):
            raise ValueError("write either `text` (one sentence) or `same` (two or more)")
        if not (self.same or self.present or self.absent):
            raise ValueError("nothing is expected: write `present`, `absent` or both")
        both = set(self.present) & set(self.absent)
        if both:
            raise ValueError(f"{', '.join(sorted(both))} cannot be both present and absent")
        return self


def default_folder() -> Path:
    """Return the folder of the project's own cases.

    Raises:
        NetralError: This is no checkout, so there are none.
    """
    if not CASES.is_dir():
        raise NetralError(
            f"{CASES}: no such folder; the cases come with the source code only", "name a folder of your own: --behaviour FOLDER"
        )
    return CASES


def load_cases(folder: Path, labels: Sequence[str]) -> list[Case]:
    """Read the cases of a folder's YAML files, ordered by file name; each file is a group.

    Args:
        folder: Holds the files.
        labels: The labels that the model knows.

    Raises:
        NetralError: The folder holds no case, or a case is malformed, tests an unknown label or repeats an id; the message
            names file and case.
    """
    if not folder.is_dir():
        raise NetralError(f"{folder}: no such folder", "name a folder with YAML files of cases, see docs/behaviour.md")
    cases: list[Case] = []
    seen: dict[str, Path] = {}
    for path in sorted((p for p in folder.iterdir() if p.suffix in (".yaml", ".yml")), key=lambda p: p.name):
        for case in _read_file(path, labels):
            if case.id in seen:
                raise NetralError(
                    f"{path}: case {case.id}: the id stands in {seen[case.id].name} already", "give each case an id of its own"
                )
            seen[case.id] = path
            cases.append(case)
    if not cases:
        raise NetralError(f"{folder}: holds no case", "name a folder with YAML files of cases, see docs/behaviour.md")
    return cases


def _read_file(path: Path, labels: Sequence[str]) -> list[Case]:
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise NetralError(f"{path}: cannot be read ({error})", "save the file as UTF-8 text") from None
    if not isinstance(data, dict) or set(data) != {"cases"} or not isinstance(data["cases"], list) or not data["cases"]:
        raise NetralError(f"{path}: not a list of cases under the one key `cases`", "see docs/behaviour.md for the format")
    return [_read_case(path, number, row, labels) for number, row in enumerate(data["cases"], start=1)]


def _read_case(path: Path, number: int, row: Any, labels: Sequence[str]) -> Case:
    name = row["id"] if isinstance(row, dict) and isinstance(row.get("id"), str) else f"number {number}"
    try:
        entry = _Entry.model_validate(row)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        reason = problem["msg"].removeprefix("Value error, ")
        raise NetralError(f"{path}: case {name}: {key + ': ' if key else ''}{reason}", "see docs/behaviour.md for the format") from None
    present = frozenset(entry.present)
    absent = frozenset(labels) - present if entry.absent == "rest" else frozenset(entry.absent)
    unknown = sorted((present | absent) - set(labels))
    if unknown:
        raise NetralError(f"{path}: case {name}: the model has no label {', '.join(unknown)}", f"the model knows {', '.join(labels)}")
    sentences = (entry.text,) if entry.text is not None else tuple(entry.same)
    return Case(entry.id, path.stem, entry.rule, sentences, present, absent)


def run_behaviour(cases: Sequence[Case], predictor: Labeller, confidence: float = 0.95) -> dict[str, Any]:
    """Label the sentences of all cases and judge each case.

    A case passes if every sentence has its present labels and none of its absent ones and, where there are several, if all
    got the same labels.

    Returns:
        ``groups``: for each group cases, passed, pass_rate and its Wilson interval, and how many sets of sentences got labels that
        differ (whether or not they are right); ``failed``: the failed cases, each sentence with its labels and scores; and the
        same counts over all.
    """
    predictions = iter(predictor.predict([sentence for case in cases for sentence in case.sentences]))
    failures = {case.id: _failure(case, [next(predictions) for _ in case.sentences], predictor.labels) for case in cases}
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    return {
        "confidence": confidence,
        "method": "Wilson",
        **_rate(cases, failures, confidence),
        "groups": {group: _rate(each, failures, confidence) for group, each in groups.items()},
        "failed": [failure for failure in failures.values() if failure],
    }


def _rate(cases: Sequence[Case], failures: dict[str, dict[str, Any] | None], confidence: float) -> dict[str, Any]:
    failed = [failure for case in cases if (failure := failures[case.id])]
    of = len(cases)
    n = of - len(failed)
    interval = binomtest(n, of).proportion_ci(confidence, method="wilson")
    return {
        "cases": of,
        "passed": n,
        "pass_rate": round(n / of, _DIGITS),
        "interval": [round(float(interval.low), _DIGITS), round(float(interval.high), _DIGITS)],
        "sets": sum(len(case.sentences) > 1 for case in cases),
        "labels_differ": sum(failure["labels_differ"] for failure in failed),
    }


def _failure(case: Case, predictions: Sequence[Prediction], labels: Sequence[str]) -> dict[str, Any] | None:
    given = [frozenset(each.labels) for each in predictions]
    differ = len(set(given)) > 1
    if not differ and case.present <= given[0] and not case.absent & given[0]:
        return None
    return {
        "id": case.id,
        "group": case.group,
        "rule": case.rule,
        "labels_differ": differ,
        "sentences": [
            {
                "sentence": sentence,
                "labels": list(each.labels),
                "missing": [label for label in labels if label in case.present - found],
                "unexpected": [label for label in labels if label in case.absent & found],
                "scores": {label: round(score, _DIGITS) for label, score in each.scores.items()},
            }
            for sentence, each, found in zip(case.sentences, predictions, given, strict=True)
        ],
    }


def read_floors(path: Path) -> dict[str, float]:
    """Read the floor of each group, a share from 0 to 1.

    Raises:
        NetralError: The file is missing or holds anything else.
    """
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise NetralError(
            f"{path}: cannot be read ({error.strerror})", "make it with `python -m training.evaluation.behaviour --raise-floors`"
        ) from None
    data = data or {}
    if not isinstance(data, dict) or not all(isinstance(rate, int | float) and 0 <= rate <= 1 for rate in data.values()):
        raise NetralError(f"{path}: not a share from 0 to 1 for each group", "write `group: 0.9` lines")
    return {group: float(rate) for group, rate in data.items()}


def below_floors(report: dict[str, Any], floors: dict[str, float]) -> list[str]:
    """Say which groups fall below their floor, have none, or are gone while their floor stays."""
    problems = []
    for group, found in report["groups"].items():
        rate = found["passed"] / found["cases"]
        if group not in floors:
            problems.append(f"{group}: no floor")
        elif rate < floors[group]:
            problems.append(f"{group}: {found['passed']} of {found['cases']} cases pass ({rate:.4f}), the floor is {floors[group]:.4f}")
    return problems + [f"{group}: a floor without cases" for group in floors if group not in report["groups"]]


def raised(floors: dict[str, float], report: dict[str, Any]) -> dict[str, float]:
    """Return the floors with each group's pass rate where that is higher, and with groups that had none; none is ever lowered.

    >>> raised({"negation": 0.9}, {"groups": {"negation": {"passed": 2, "cases": 3}, "scope": {"passed": 2, "cases": 3}}})
    {'negation': 0.9, 'scope': 0.6666}
    """
    scale = 10**_FLOOR_DIGITS
    reached = {group: math.floor(scale * found["passed"] / found["cases"]) / scale for group, found in report["groups"].items()}
    return {group: max(floors.get(group, 0.0), reached.get(group, 0.0)) for group in sorted({*floors, *reached})}


def write_floors(path: Path, floors: dict[str, float]) -> None:
    """Write the floors file."""
    head = (
        "# The share of cases of each group that the default model must pass.\n"
        "# `python -m training.evaluation.behaviour --raise-floors` raises them.\n"
    )
    with replacing_file(path) as beside:
        beside.write_text(head + yaml.safe_dump(floors, sort_keys=True), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases alone, without a data set, and hold them to their floors; return the exit code."""
    from inference.predictor import DEFAULT_MODEL, Predictor
    from netral.tables import print_table
    from training.report.markdown import behaviour_failures, behaviour_rows

    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.behaviour", description="Run the behaviour suite and check its floors."
    )
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="model folder (the embedded default model)")
    parser.add_argument("--cases", type=Path, help="folder of cases (tests/behaviour/cases)")
    parser.add_argument("--floors", type=Path, default=FLOORS, help="floors file (tests/behaviour/floors.yaml)")
    parser.add_argument("--raise-floors", action="store_true", help="write what the model reaches where it is higher; never lowers")
    options = parser.parse_args(arguments)
    with Predictor(options.model) as predictor:
        report = run_behaviour(load_cases(options.cases or default_folder(), predictor.labels), predictor)
    print("\n".join(behaviour_failures(report)))
    print_table(behaviour_rows(report), stderr=False)
    floors = read_floors(options.floors) if options.floors.exists() or not options.raise_floors else {}
    if options.raise_floors:
        higher = raised(floors, report)
        write_floors(options.floors, higher)
        changed = [f"{group} {floors.get(group, 0):.4f} -> {rate:.4f}" for group, rate in higher.items() if rate != floors.get(group)]
        print(f"floors raised: {', '.join(changed) or 'none'}; written to {options.floors}")
        floors = higher
    problems = below_floors(report, floors)
    print("\n".join(problems) or "every group reaches its floor")
    return int(bool(problems))


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except NetralError as error:
        print(f"error: {error}")
        raise SystemExit(2) from None
