"""Label Studio: a JSON list of tasks with predictions, and a labelling interface beside it; reads JSON and JSON_MIN exports."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from netral.errors import NetralError
from training.annotation.formats.common import carried, context, label_list, load, origin_and_text, write_list
from training.annotation.task import Answer, Task

_CONTROL = "labels"
_OBJECT = "text"


def write(tasks: list[Task], path: Path) -> None:
    """Write the tasks with the suggested labels as predictions."""
    write_list(path, ({"data": {_OBJECT: t.sentence, **context(t), **carried(t)}, "predictions": [_prediction(t)]} for t in tasks))


def interface(labels: list[str]) -> str:
    """Return the labelling interface for the project's settings: the sentence between its neighbours, labels as boxes with keys from 1.

    >>> '<Choice value="warning" hotkey="1"/>' in interface(["warning"])
    True
    """
    keys = (f' hotkey="{number}"' if number <= 9 else "" for number in range(1, len(labels) + 1))
    choices = "\n".join(f"    <Choice value={quoteattr(label)}{key}/>" for label, key in zip(labels, keys, strict=True))
    return (
        "<View>\n"
        '  <Text name="before" value="$before"/>\n'
        f'  <Text name="{_OBJECT}" value="$text"/>\n'
        '  <Text name="after" value="$after"/>\n'
        f'  <Choices name="{_CONTROL}" toName="{_OBJECT}" choice="multiple" showInline="true">\n'
        f"{choices}\n"
        "  </Choices>\n"
        "</View>\n"
    )


def _prediction(task: Task) -> dict[str, Any]:
    suggested = list(task.origin.suggested or ())
    result = [{"from_name": _CONTROL, "to_name": _OBJECT, "type": "choices", "value": {"choices": suggested}}] if suggested else []
    # Of the least certain label, so that sorting by score shows what the model is unsure of.
    score = min((max(p, 1 - p) for p in task.scores.values()), default=0.0)
    return {"model_version": task.origin.model or "netral", "score": round(score, 3), "result": result}


def read(path: Path, annotator: str | None) -> Iterator[Answer]:
    """Yield the answers of a JSON or JSON_MIN export; a skipped task gives an answer without labels.

    Raises:
        NetralError: A record is not of a task that netral exported, or has no choices of the interface.
    """
    for where, record in load(path):
        if "annotations" in record:
            data = record.get("data") or {}
            # In the order in which they were changed: the last answer of a person counts.
            for annotation in sorted(record["annotations"], key=lambda each: str(each.get("updated_at") or "")):
                yield _answer(data, _choices(annotation.get("result") or [], where), annotation, where, annotator)
        else:
            yield _answer(record, _minimal(record.get(_CONTROL), where), record, where, annotator)


def _answer(data: dict[str, Any], labels: tuple[str, ...], annotation: dict[str, Any], where: str, annotator: str | None) -> Answer:
    origin, sentence = origin_and_text(data, data.get(_OBJECT), where)
    person = annotation.get("completed_by", annotation.get("annotator"))
    if isinstance(person, dict):
        person = person.get("email") or person.get("id")
    name = str(person) if person is not None else annotator
    if not name:
        raise NetralError(f"{where}: the annotation says of nobody who made it", "name the person with --annotator")
    return Answer(origin, sentence, name, None if annotation.get("was_cancelled") else labels)


def _choices(result: list[dict[str, Any]], where: str) -> tuple[str, ...]:
    found = [item for item in result if item.get("from_name") == _CONTROL]
    if result and not found:
        raise NetralError(f"{where}: no choices named {_CONTROL!r}", "use the labelling interface that the export wrote")
    return tuple(label for item in found for label in label_list((item.get("value") or {}).get("choices"), where))


def _minimal(value: Any, where: str) -> tuple[str, ...]:
    """JSON_MIN writes one choice as text, several under `choices`, and none not at all."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    return label_list(value.get("choices") if isinstance(value, dict) else value, where)
