"""Argilla 2: a JSON list of records with suggestions; reads what `dataset.records.to_json` writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.annotation.formats.common import carried, context, label_list, load, origin_and_text, write_list
from training.annotation.task import Answer, Task

_QUESTION = "labels"
# Argilla keeps no answer to a question that was left empty, so "none of them" needs a name.
NONE = "no_label"


def write(tasks: list[Task], path: Path) -> None:
    """Write the records; docs/annotation.md has the settings of the data set they go into."""
    write_list(path, map(_record, tasks))


def _record(task: Task) -> dict[str, Any]:
    suggested = list(task.origin.suggested or ())
    # Metadata of Argilla is flat: text, numbers and lists of text.
    metadata = {k: v for k, v in carried(task).items() if v is not None and not isinstance(v, dict)}
    metadata |= {f"score_{label}": score for label, score in task.scores.items()}
    metadata |= {f"answer_{name}": list(labels) for name, labels in (task.answers or {}).items()}
    scores = [task.scores[label] for label in suggested] or [round(1 - max(task.scores.values(), default=0.0), 3)]
    return {
        "id": task.origin.sentence_id,
        "fields": {"sentence": task.sentence, **context(task)},
        "metadata": metadata,
        "suggestions": {_QUESTION: {"value": suggested or [NONE], "score": scores, "agent": task.origin.model or "netral"}},
        "responses": {},
        "vectors": {},
    }


def read(path: Path, annotator: str | None) -> Iterator[Answer]:
    """Yield the answers, one for each response; a discarded one has no labels.

    Raises:
        NetralError: A record is not of a task that netral exported.
    """
    for where, record in load(path):
        fields, metadata = record.get("fields") or {}, record.get("metadata") or {}
        origin, sentence = origin_and_text(metadata, fields.get("sentence"), where)
        for response in (record.get("responses") or {}).get(_QUESTION, []):
            if response.get("status") == "draft":
                continue
            labels = None
            if response.get("status") != "discarded" and response.get("value") is not None:
                labels = tuple(label for label in label_list(response["value"], where) if label != NONE)
            yield Answer(origin, sentence, str(response.get("user_id") or annotator), labels)
