"""Trains the same recipe with several seeds, to tell what a choice brings from what chance brings."""

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import refuse_existing, replacing_folder
from netral.progress import say
from netral.provenance import fingerprint, is_current, write_json
from training.fitting.fit import train, train_fingerprint, validation_figure

SEEDS_FILE = "seeds.json"


def train_seeds(config: Config, data: Path, out: Path, count: int, *, resume: bool = False, overwrite: bool = False) -> dict[str, Any]:
    """Train with ``train.seed`` and the numbers behind it, and write the median model with ``seeds.json``.

    Every model stays in ``<out>.seeds``; one that is there and up to date is not trained again, so that an interrupted run goes on, and
    a larger ``count`` only adds to a smaller one. The model of ``out`` is the one with the median validation figure (of an even number
    the lower of the two in the middle): the mean and spread then speak of it, whereas the best of several on a validation split of a
    few hundred sentences is best by luck, and its figure promises too much.

    Returns:
        What ``seeds.json`` holds, with ``unchanged`` set if it was there and up to date.

    Raises:
        NetralError: As for training; or fewer than two seeds are asked for.
    """
    if count < 2:
        raise NetralError(f"--seeds {count}: no spread", "ask for at least 2, or leave it out")
    configs = {config.train.seed + k: _with_seed(config, config.train.seed + k) for k in range(count)}
    wanted = fingerprint("seeds", {}, [(str(seed), train_fingerprint(each, data)) for seed, each in configs.items()])
    if is_current(out / SEEDS_FILE, wanted):
        return {**json.loads((out / SEEDS_FILE).read_text(encoding="utf-8")), "unchanged": True}
    refuse_existing(out, overwrite)
    folders = {seed: out.with_name(out.name + ".seeds") / f"seed-{seed}" for seed in configs}
    runs: dict[int, dict[str, Any]] = {}
    for seed, each in configs.items():
        runs[seed] = train(each, data, folders[seed], resume=resume, overwrite=overwrite)
        done = " (was there)" if runs[seed].get("unchanged") else ""
        name, value = validation_figure(runs[seed])
        say(f"train: seed {seed}: validation {name} {value:.4f}{done}")
    found = spread({seed: validation_figure(run)[1] for seed, run in runs.items()})
    found = {"fingerprint": wanted, "figure": f"validation {name}", **found}
    with replacing_folder(out) as folder:
        shutil.copytree(folders[found["kept"]], folder, dirs_exist_ok=True)
        found["files"] = sorted(path.name for path in folder.iterdir())
        write_json(folder / SEEDS_FILE, found)
    return found


def spread(figures: dict[int, float]) -> dict[str, Any]:
    """Describe the figures of several seeds, and say which seed is the median one.

    >>> spread({1: 0.8, 2: 0.9, 3: 0.85, 4: 0.7})
    {'seeds': {'1': 0.8, '2': 0.9, '3': 0.85, '4': 0.7}, 'mean': 0.8125, 'sd': 0.0854, 'min': 0.7, 'max': 0.9, 'kept': 1}
    """
    order = sorted(figures, key=lambda seed: (figures[seed], seed))
    return {
        "seeds": {str(seed): round(value, 6) for seed, value in figures.items()},
        "mean": round(statistics.mean(figures.values()), 4),
        "sd": round(statistics.stdev(figures.values()), 4),
        "min": round(min(figures.values()), 4),
        "max": round(max(figures.values()), 4),
        "kept": order[(len(order) - 1) // 2],
    }


def _with_seed(config: Config, seed: int) -> Config:
    return config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})
