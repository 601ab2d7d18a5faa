"""Hyper-parameter search over a recipe with optuna. It reads the training and validation splits and nothing else."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from netral.config import Config, Range, load_config, merge_settings, nested
from netral.errors import NetralError
from netral.io.paths import replacing_file
from netral.progress import say
from netral.provenance import file_digest, fingerprint, libraries, write_json
from training.data.dataset import load_split
from training.fitting.fit import train, validation_figure

STATE_FILE, RESULT_FILE, BEST_FILE, _JOURNAL = "run.json", "search.json", "best.yaml", "trials.log"


def search(recipe: Path, overrides: list[str], data: Path, out: Path, trials: int) -> dict[str, Any]:
    """Try settings of a recipe until ``trials`` have finished, and write ``search.json`` and ``best.yaml``, which extends the recipe.

    A search that was stopped goes on with the same command, and with a larger ``trials`` one that ended. Every trial's settings follow from
    the seed and the finished trials alone, so that a stopped search tries what an unstopped one would have tried.

    Returns:
        What ``search.json`` holds.

    Raises:
        NetralError: optuna is not installed, the data set is missing, or the folder holds another search.
    """
    try:
        import optuna
    except ImportError:
        raise NetralError("netral search needs optuna", "pip install 'netral[search]'") from None
    config = load_config(recipe, overrides)
    splits = ("train",) if config.search.scored_on == "folds" else ("train", "validation")
    task: dict[str, Any] = {"labels": config.label_names, "choices": config.choices, "pairs": config.pairs}
    for split in splits:
        load_split(data, split, **task)  # before the first trial, not in it
    wanted = _claim(out, config, data, splits)
    rounds = _folds(data, out, config) if config.search.scored_on == "folds" else [data]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    backend = optuna.storages.journal.JournalFileBackend(str(out / _JOURNAL))
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend), study_name="search", direction="maximize", load_if_exists=True
    )
    states = optuna.trial.TrialState
    for left in study.get_trials(states=(states.RUNNING,)):
        study.tell(left.number, state=states.FAIL)  # a run that was stopped; the same settings are asked for again below
    while (done := len(study.get_trials(states=(states.COMPLETE,)))) < trials:
        study.sampler = optuna.samplers.TPESampler(seed=config.search.seed + done)
        trial = study.ask()
        chosen = {key: _suggested(trial, key, values) for key, values in config.search.space.items()}
        figures = _score(config, chosen, rounds, out / "trial")
        study.tell(trial, float(np.mean(figures)))
        say(f"search: trial {done + 1} of {trials}: {np.mean(figures):.4f} with {_shown(chosen)}")
    shutil.rmtree(out / "trial", ignore_errors=True)
    return _write(study.get_trials(states=(states.COMPLETE,)), recipe, overrides, config, out, wanted)


def _claim(out: Path, config: Config, data: Path, splits: tuple[str, ...]) -> str:
    """Take the folder for this search; everything that decides a trial is in the fingerprint, the number of trials is not."""
    settings = config.model_dump(include={"labels", "task", "pairs", "text", "model", "train", "decision", "search"})
    wanted = fingerprint("search", settings, [(split, file_digest(data / f"{split}.parquet")) for split in splits])
    if out.exists() and any(out.iterdir()):
        try:
            known = json.loads((out / STATE_FILE).read_text(encoding="utf-8")).get("fingerprint")
        except (OSError, ValueError, AttributeError):
            raise NetralError(f"{out}: a folder that `netral search` did not write", "choose another --out") from None
        if known != wanted:
            raise NetralError(f"{out}: holds a search with another recipe, data set or version of netral", "choose another --out")
        return wanted
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / STATE_FILE, {"stage": "search", "fingerprint": wanted, "settings": settings, "libraries": libraries()})
    return wanted


def _folds(data: Path, out: Path, config: Config) -> list[Path]:
    """Write the training split as folds, each a data set of its own; near-duplicate groups stay together."""
    from sklearn.model_selection import GroupKFold

    table: pa.Table = pq.read_table(data / "train.parquet")
    groups, count = np.array(table["group"]), config.search.folds
    if len(set(groups.tolist())) < count:
        raise NetralError(f"{data / 'train.parquet'}: fewer groups than search.folds {count}", "lower search.folds, or label more articles")
    folds = GroupKFold(count, shuffle=True, random_state=config.search.seed).split(groups, groups=groups)
    paths = []
    for number, rows in enumerate(folds):
        paths.append(out / "folds" / str(number))
        paths[-1].mkdir(parents=True, exist_ok=True)
        for split, chosen in zip(("train", "validation"), rows, strict=True):
            pq.write_table(table.take(np.sort(chosen)), paths[-1] / f"{split}.parquet")
    return paths


def _suggested(trial: Any, key: str, values: Any) -> Any:
    if not isinstance(values, Range):
        return trial.suggest_categorical(key, values)
    whole = isinstance(values.low, int) and isinstance(values.high, int)
    suggest = trial.suggest_int if whole else trial.suggest_float
    value = suggest(key, values.low, values.high, log=values.log)
    # Four figures: best.yaml is read by people, and no training is decided by the fifth.
    return value if whole else float(f"{value:.4g}")


def _score(config: Config, chosen: dict[str, Any], rounds: list[Path], work: Path) -> list[float]:
    tried = Config.model_validate(merge_settings(config.model_dump(), nested(chosen)))
    figures = []
    for data in rounds:
        figures.append(validation_figure(train(tried, data, work, overwrite=True))[1])
        shutil.rmtree(work)
    return figures


def _shown(chosen: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in chosen.items())


def _scored_on(config: Config) -> str:
    if config.search.scored_on == "folds":
        return f"mean over {config.search.folds} group folds within the training split; the best epoch of each fold counts"
    return "the validation split, best epoch: as the winner of many trials its figure promises too much"


def _write(trials: list[Any], recipe: Path, overrides: list[str], config: Config, out: Path, wanted: str) -> dict[str, Any]:
    best = max(trials, key=lambda trial: (trial.value, -trial.number))
    rows = [{"value": round(t.value, 6), **{key: _plain(t.params[key]) for key in config.search.space}} for t in trials]
    chosen = {key: _plain(best.params[key]) for key in config.search.space}
    figure = "macro F1" if config.choices else "macro average precision"
    found = {"fingerprint": wanted, "figure": figure, "scored_on": _scored_on(config), "best": {"value": round(best.value, 6), **chosen}}
    write_json(out / RESULT_FILE, {**found, "trials": rows})
    settings = merge_settings(nested(_given(overrides)), nested(chosen))
    head = f"# Best of {len(trials)} trials by `netral search`: {figure} {best.value:.4f}, {_scored_on(config)}.\n"
    extends = {"extends": os.path.relpath(recipe, out)}
    with replacing_file(out / BEST_FILE) as beside:
        beside.write_text(head + yaml.safe_dump({**extends, **settings}, sort_keys=False, allow_unicode=True), encoding="utf-8")
    load_config(out / BEST_FILE)
    return {**found, "trials": rows}


def _plain(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _given(overrides: list[str]) -> dict[str, Any]:
    """Return the overrides of the command line, paths among them as seen from anywhere: best.yaml stands in another folder."""
    from netral.config import parse_override

    given = dict(map(parse_override, overrides))
    gold, encoder = given.get("prepare.gold"), given.get("model.encoder")
    if gold:
        given["prepare.gold"] = str(Path(gold).resolve()) if isinstance(gold, str) else [str(Path(each).resolve()) for each in gold]
    if isinstance(encoder, str) and encoder.startswith("."):
        given["model.encoder"] = str(Path(encoder).resolve())
    return given
