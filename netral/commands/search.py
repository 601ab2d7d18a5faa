"""The command that searches for the settings of a training."""

from pathlib import Path
from typing import Annotated

import typer

from netral.commands.common import Overrides, app
from netral.progress import say


@app.command()
def search(
    config: Annotated[Path, typer.Option("-c", "--config", help="Recipe to improve; its section `search` says what is tried.")],
    out: Annotated[Path, typer.Option(help="Folder for the trials and best.yaml.")],
    data: Annotated[Path, typer.Option(help="Data set made by `netral prepare`; its test split is not read.")] = Path("runs/data"),
    trials: Annotated[int, typer.Option(min=1, help="How many trials there shall be in all, earlier runs of this search included.")] = 20,
    overrides: Overrides = None,
) -> None:
    """Search for better settings of a recipe. A search that was stopped goes on with the same command."""
    from training.fitting.search import BEST_FILE
    from training.fitting.search import search as run

    found = run(config, overrides or [], data, out, trials)
    say(f"search: best of {len(found['trials'])} trials: {found['figure']} {found['best']['value']:.4f} ({found['scored_on']})")
    say(f"search: train it with `netral train -c {out / BEST_FILE}`")
