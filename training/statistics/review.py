"""The queue of sentences that a person should look at."""

from pathlib import Path
from typing import Any

from inference.deciding import doubtful
from inference.outputs.read import output_rows, scores_of
from netral.errors import NetralError
from netral.io.paths import refuse_existing, replacing_file
from netral.io.writers import JsonlWriter
from netral.model_folder import open_model_folder
from training.statistics.bands import logit


def review(out: Path, model: Path, queue: Path, *, limit: int | None = None, overwrite: bool = False) -> dict[str, Any]:
    """Write the rows of a labelled output whose scores lie in the model's review bands, the most uncertain first.

    Each row is that of the output with ``review``, the labels in doubt. Uncertainty is the distance of a score to its threshold in logits;
    rows that are equally uncertain keep their order.

    Raises:
        NetralError: The model has no review bands, the output has no scores for them, or the queue exists.
    """
    folder = open_model_folder(model)
    decision = folder.decision
    if not decision.review:
        raise NetralError(f"{model}: has no review bands", "choose them with `netral decide MODEL --goal review=200/day --per-day N`")
    refuse_existing(queue, overwrite)
    edges = {label: logit(decision.thresholds[label]) for label in decision.review}
    found, others, count = [], 0, 0
    for count, (where, row) in enumerate(output_rows(out, ("scores",), also=None), 1):
        scores = dict(zip(edges, scores_of(where, row, list(edges)), strict=True))
        others += row.get("model") != folder.fingerprint
        if doubted := doubtful(scores, decision.review):
            nearness = min(float(abs(logit(scores[label]) - edges[label])) for label in doubted)
            found.append((nearness, count, {**row, "review": doubted}))
    found.sort(key=lambda item: item[:2])
    with replacing_file(queue) as path, JsonlWriter(path) as writer:
        for _, _, row in found[:limit]:
            writer.write(row)
    return {"rows": count, "in_bands": len(found), "written": len(found[:limit]), "other_model": others}
