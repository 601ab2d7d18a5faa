"""Commands that show an output: view (a page) and show (the terminal)."""

from pathlib import Path
from typing import Annotated

import typer

from netral.commands.common import ConfigFile, Overwrite, app
from netral.errors import NetralError
from netral.progress import say

Output = Annotated[str, typer.Argument(help="Output of `netral label`: OUT.jsonl, OUT.parquet or a folder.")]


@app.command()
def view(
    labelled: Output,
    out: Annotated[Path, typer.Option(help="The page: OUT.html.")],
    source: Annotated[Path | None, typer.Option(help="Folder to look for the sources in, if they were moved.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the page; default: the output's name.")] = None,
    annotate: Annotated[bool, typer.Option("--annotate", help="A page that collects corrected labels of --annotator.")] = False,
    annotator: Annotated[str | None, typer.Option(help="Who annotates: a name that goes into every answer.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Articles on the page at most, from the first on.")] = 5000,
    config: ConfigFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Write labelled articles as one HTML file to read, search and filter; with --annotate also to correct."""
    if annotate and not (annotator or "").strip():
        raise NetralError("--annotate: whose answers?", "add --annotator NAME")
    if annotator and not annotate:
        raise NetralError(f"--annotator {annotator}: only for --annotate", "add --annotate")
    from inference.pages.view import view as run
    from netral.config import load_config

    settings = load_config(config) if config else None
    found = run(labelled, out, title=title, source=source, annotator=annotator, limit=limit, config=settings, overwrite=overwrite)
    if found["left_out"]:
        say(f"view: {found['left_out']} articles are not on the page; --limit takes more, labelling less of the crawl keeps it quick")
    if found["gone"]:
        say(
            "view: without their full text: " + ", ".join(f"{n} {reason}" for reason, n in found["gone"].items()) + " (see `netral verify`)"
        )
    say(f"view: {found['articles']} articles, {found['sentences']} sentences, {found['bytes'] / 1e6:.2f} MB written to {out}")


@app.command()
def show(
    labelled: Output,
    article: Annotated[str | None, typer.Option(help="Id of the article; default: the first.")] = None,
) -> None:
    """Print one article with its labels and scores; coloured on a terminal, plain elsewhere."""
    from rich.console import Console

    from inference.pages.show import find_article
    from inference.pages.show import show as run

    run(find_article(labelled, article), Console(highlight=False, markup=False, emoji=False))
