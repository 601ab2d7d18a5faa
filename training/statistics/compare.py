"""Is one model better than another? Paired tests on the same sentences, whole groups of articles at a time."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import refuse_existing, replacing_folder
from netral.io.writers import JsonlWriter
from netral.provenance import RUN_FILE, libraries, write_json
from training.evaluation.metrics import f1_of
from training.statistics.bootstrap import GroupBootstrap
from training.statistics.predictions import PREDICTIONS_FILE, Predictions, macro_columns, read_predictions, same_sentences

# With 9,999 shuffles a p-value of 0.05 has a standard error of 0.002, and the smallest one possible is 0.0001.
PERMUTATIONS = 9999
MACRO = "macro_f1"
_ALPHA, _POWER = 0.05, 0.8
_DIGITS = 4
_BLOCK = 1000


def difference_of_f1(
    groups: Sequence[Hashable],
    truth: np.ndarray,
    base: np.ndarray,
    other: np.ndarray,
    permutations: int,
    seed: int,
    values: np.ndarray | None = None,
) -> np.ndarray:
    """Test by approximate randomisation (Noreen 1989) whether two systems differ in F1.

    If they do not differ, it does not matter which of them gave an answer: the answers for a whole group are exchanged at random, and the
    p-value is the share of such exchanges with a difference as large as the real one.

    Args:
        groups: The group of each sentence.
        truth: 0/1 of shape (sentences, labels).
        base: What one system gave, of that shape.
        other: What the other gave.
        permutations: How many random exchanges; the real outcome is counted as one more.
        seed: Of the exchanges.
        values: Over what macro F1 is the mean (training.statistics.predictions.macro_columns); None for the labels.

    Returns:
        Two-sided p-values for the labels and, at the end, for macro F1.
    """
    _, owner = np.unique([str(group) for group in groups], return_inverse=True)

    def per_group(values: np.ndarray) -> np.ndarray:
        out = np.zeros((owner.max() + 1, values.shape[1]))
        np.add.at(out, owner, values)
        return out

    hits = per_group(base * truth), per_group(other * truth)
    chosen = per_group(base), per_group(other)
    positives = truth.sum(axis=0)
    joined = np.eye(truth.shape[1], dtype=int) if values is None else values

    def differences(exchanged: np.ndarray) -> np.ndarray:
        """Of rows that say which groups are exchanged."""
        sums = [
            (pair[0].sum(0) + exchanged @ (pair[1] - pair[0]), pair[1].sum(0) + exchanged @ (pair[0] - pair[1])) for pair in (hits, chosen)
        ]
        first, second = (f1_of(sums[0][side], sums[1][side], positives) for side in (0, 1))
        macro = [f1_of(sums[0][side] @ joined, sums[1][side] @ joined, positives @ joined).mean(axis=1) for side in (0, 1)]
        return np.column_stack([second - first, macro[1] - macro[0]])

    real = differences(np.zeros((1, owner.max() + 1)))[0]
    rng = np.random.default_rng(seed)
    shuffled = np.concatenate(
        [
            differences((rng.random((min(_BLOCK, permutations - begin), owner.max() + 1)) < 0.5).astype(float))
            for begin in range(0, permutations, _BLOCK)
        ]
    )
    # Sums of the same counts in another order may differ in the last bit.
    return np.asarray((1 + (np.abs(shuffled) >= np.abs(real) - 1e-12).sum(axis=0)) / (permutations + 1))


def smallest_difference(drawn: np.ndarray) -> float:
    """Return the smallest true difference that a test set finds four times in five.

    The resampled differences, moved to have mean 0, stand for what chance does: 95 % of them lie below the critical value, and of those
    moved by the result 80 % lie above it. NaN where the systems agree throughout.

    Args:
        drawn: The difference of two systems in every resample.
    """
    chance = drawn - drawn.mean()
    if np.abs(chance).max() < 1e-12:
        return float("nan")
    return float(np.quantile(np.abs(chance), 1 - _ALPHA) + np.quantile(chance, _POWER))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979): the chance that any of them is wrongly below 0.05 stays 0.05.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = round(highest, 10)
    return corrected


def changes(base: Predictions, other: Predictions) -> list[dict[str, Any]]:
    """List each decision that differs: fixed or broken, by label, in the order of labels and sentences."""
    rows = []
    for k, label in enumerate(base.labels):
        for i in np.flatnonzero(base.given[:, k] != other.given[:, k]):
            right = bool(other.given[i, k] == base.truth[i, k])
            rows.append(
                {
                    "label": label,
                    "change": "fixed" if right else "broken",
                    "what": ("found" if right else "missed") if base.truth[i, k] else ("no longer given" if right else "wrongly given"),
                    "sentence_id": base.sentence_ids[i],
                    "sentence": base.sentences[i],
                    "base_score": float(base.scores[i, k]),
                    "score": float(other.scores[i, k]),
                }
            )
    order = {label: k for k, label in enumerate(base.labels)}
    return sorted(rows, key=lambda row: (order[row["label"]], row["change"], row["what"]))


def compare(systems: dict[str, Predictions], config: Config) -> dict[str, Any]:
    """Compare each further system with the first, on the same sentences.

    Raises:
        NetralError: The systems did not answer the same sentences.
    """
    (base_name, base), *others = systems.items()
    others = [(name, same_sentences(base, other, (base_name, name))) for name, other in others]
    settings = config.evaluate
    bootstrap = GroupBootstrap(base.groups, settings.bootstrap_samples, settings.confidence, settings.seed)
    found = {name: _pair(base, other, bootstrap, settings.seed) for name, other in others}
    # Two families: the headline over the models, and the labels of all models.
    families = [[MACRO], list(base.labels)]
    for family in families:
        places = [(name, figure) for name in found for figure in family]
        corrected = holm([found[name]["figures"][figure]["p_value"] for name, figure in places])
        for (name, figure), value in zip(places, corrected, strict=True):
            found[name]["figures"][figure]["p_value_holm"] = round(value, _DIGITS)
    return {
        "base": base_name,
        "sentences": len(base),
        "articles": len(set(base.articles)),
        "groups": len(set(base.groups)),
        "confidence": settings.confidence,
        "method": f"paired BCa bootstrap over near-duplicate groups of articles, {settings.bootstrap_samples} samples; approximate "
        f"randomisation of groups, {PERMUTATIONS} permutations; Holm's correction over {len(others)} models, and over labels and models",
        "models": found,
    }


def _pair(base: Predictions, other: Predictions, bootstrap: GroupBootstrap, seed: int) -> dict[str, Any]:
    values = macro_columns(base, other)
    before, after = (
        np.column_stack([bootstrap.f1(each.given, base.truth), bootstrap.f1(each.given, base.truth, values).mean(axis=1)])
        for each in (base, other)
    )
    p_values = difference_of_f1(base.groups, base.truth, base.given, other.given, PERMUTATIONS, seed, values)
    changed = changes(base, other)
    figures: dict[str, Any] = {}
    for k, name in enumerate((*base.labels, MACRO)):
        rows = after[:, k] - before[:, k]
        smallest = smallest_difference(rows[: bootstrap.samples])
        mine = [row for row in changed if name in (MACRO, row["label"])]
        figures[name] = {
            "base": round(float(before[-1, k]), _DIGITS),
            "f1": round(float(after[-1, k]), _DIGITS),
            "difference": round(float(after[-1, k] - before[-1, k]), _DIGITS),
            "interval": bootstrap.interval(rows),
            "p_value": round(float(p_values[k]), _DIGITS),
            "smallest_difference": None if np.isnan(smallest) else round(smallest, _DIGITS),
            "fixed": sum(row["change"] == "fixed" for row in mine),
            "broken": sum(row["change"] == "broken" for row in mine),
        }
    return {"figures": figures, "changes": changed}


def table_rows(found: dict[str, Any], name: str) -> list[list[str]]:
    """Return the table of one model against the base: a header row, a row a label, and macro F1."""
    rows = [["F1", found["base"], name, "difference", "p", "p (Holm)", "can be shown from", "fixed", "broken"]]
    for label, each in found["models"][name]["figures"].items():
        least = "–" if each["smallest_difference"] is None else f"{each['smallest_difference']:.2f}"
        rows.append(
            [
                "macro F1" if label == MACRO else label,
                f"{each['base']:.2f}",
                f"{each['f1']:.2f}",
                signed(each["difference"], each["interval"]),
                f"{each['p_value']:.4f}",
                f"{each['p_value_holm']:.4f}",
                least,
                str(each["fixed"]),
                str(each["broken"]),
            ]
        )
    return rows


def signed(value: float, interval: Sequence[float]) -> str:
    """Write a difference with its interval.

    >>> signed(0.0312, [-0.01, 0.07])
    '+0.03 [-0.01, +0.07]'
    """
    return f"{value:+.2f} [{interval[0]:+.2f}, {interval[1]:+.2f}]"


def verdict(found: dict[str, Any], name: str) -> str:
    """Say whether a model is better than the base, by the corrected p-value of macro F1."""
    each = found["models"][name]["figures"][MACRO]
    if each["p_value_holm"] < _ALPHA:
        said = f"{name} is {'better' if each['difference'] > 0 else 'worse'} than {found['base']}"
    elif each["smallest_difference"] is None:
        return f"{name} and {found['base']} label all {found['sentences']} sentences alike."
    else:
        said = f"{name} is not shown to differ from {found['base']}"
    least = f"; this test set shows differences from {each['smallest_difference']:.2f}" if each["smallest_difference"] else ""
    return f"{said}: macro F1 {signed(each['difference'], each['interval'])}, p = {each['p_value_holm']:.4f}{least}."


def shown_changes(found: dict[str, Any], name: str, most: int) -> list[str]:
    """Return the changed sentences as lines, by label and kind, some of each."""
    lines, before = [], ("", "")
    for row in found["models"][name]["changes"]:
        kind = (row["label"], row["change"])
        if kind != before:
            before, left = kind, most
            if most:
                lines.append(f"{row['label']}, {row['change']}:")
        if left:
            left -= 1
            lines.append(f"  {row['what']} ({row['base_score']:.2f} -> {row['score']:.2f}) {row['sentence_id']}: {row['sentence'][:120]}")
    return lines


def comparison_markdown(found: dict[str, Any]) -> str:
    """Write the comparison for a person."""
    lines = [
        "# Comparison",
        "",
        f"{found['sentences']} sentences of {found['articles']} articles in {found['groups']} near-duplicate groups. "
        f"Intervals {found['confidence']:.0%}. {found['method'][0].upper()}{found['method'][1:]}.",
        "",
        "*Can be shown from* is the true difference that this test set finds four times in five (two-sided, 5 %, one comparison).",
        "",
    ]
    for name in found["models"]:
        header, *rows = table_rows(found, name)
        lines += [f"## {name}", "", verdict(found, name), "", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
        lines += ["| " + " | ".join(row) + " |" for row in rows] + [""]
    return "\n".join([*lines, "The decisions that differ are in `changes.jsonl`.", ""])


def write_comparison(out: Path, found: dict[str, Any], inputs: dict[str, str], overwrite: bool) -> None:
    """Write compare.json, compare.md, changes.jsonl and run.json.

    Raises:
        NetralError: The output exists.
    """
    refuse_existing(out, overwrite)
    with replacing_folder(out) as folder:
        models = {name: {"figures": each["figures"]} for name, each in found["models"].items()}
        write_json(folder / "compare.json", {**found, "models": models})
        (folder / "compare.md").write_text(comparison_markdown(found), encoding="utf-8")
        with JsonlWriter(folder / "changes.jsonl") as writer:
            for name, each in found["models"].items():
                for row in each["changes"]:
                    writer.write({"model": name, **row})
        write_json(folder / RUN_FILE, {"stage": "compare", "inputs": inputs, "libraries": libraries()})


def load_systems(paths: Sequence[Path], data: Path | None, split: str, config: Config) -> dict[str, Predictions]:
    """Read the predictions of report folders; model folders label the split of a data set now.

    Raises:
        NetralError: Fewer than two, one given twice, or a model folder without a data set.
    """
    if len(paths) < 2:
        raise NetralError(f"{', '.join(map(str, paths))}: nothing to compare with", "name two or more report or model folders")
    return {name: load_system(path, data, split, config) for name, path in zip(system_names(paths), paths, strict=True)}


def system_names(paths: Sequence[Path]) -> list[str]:
    """Return what to call systems: their folders' names, or where these are alike their paths.

    Raises:
        NetralError: One is given twice.
    """
    names = [path.name or str(path) for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise NetralError(f"{', '.join(names)}: the same folder twice", "name each folder once")
    return names


def is_model(path: Path) -> bool:
    """Tell whether a folder is a model that has to label the sentences first, not a report."""
    return (path / "config.json").is_file() and not (path / PREDICTIONS_FILE).is_file()


def load_system(path: Path, data: Path | None, split: str, config: Config) -> Predictions:
    """Read the predictions of a report folder, or label a split of a data set with a model folder.

    Raises:
        NetralError: It is neither, or a model folder without a data set.
    """
    if not is_model(path):
        return read_predictions(path)
    if data is None:
        raise NetralError(f"{path}: a model folder, which needs sentences to label", "pass --data, or the report of `netral evaluate`")
    from inference.predictor import Predictor
    from training.statistics.evaluation import predict_split

    with Predictor(path, batch_tokens=config.label.batch_tokens) as predictor:
        return predict_split(predictor, data, split)
