"""Commands that release a model: card, push."""

from pathlib import Path
from typing import Annotated

import typer

from netral.commands.common import app
from netral.progress import say

Model = Annotated[Path, typer.Argument(help="Model folder.")]


@app.command()
def card(
    model: Model,
    report: Annotated[Path | None, typer.Option(help="Folder that `netral evaluate --out` wrote; it is kept in the model.")] = None,
) -> None:
    """Write the model card (README.md), with the figures of a report."""
    from training.release.card import CARD_FILE, rewrite_card

    folder = rewrite_card(model, report)
    say(f"card: written to {model / CARD_FILE}; the model stays {folder.fingerprint}")


@app.command()
def push(
    model: Model,
    repo: Annotated[str, typer.Argument(help="OWNER/NAME on the hub.")],
    private: Annotated[bool, typer.Option("--private", help="Create the repository as a private one.")] = False,
) -> None:
    """Upload a model folder with its card to a model hub. The token comes from HF_TOKEN."""
    from training.release.push import push as run

    say(f"push: {run(model, repo, private=private)}")
