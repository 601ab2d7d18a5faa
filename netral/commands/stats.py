"""Commands that count over outputs: stats."""

from pathlib import Path
from typing import Annotated

import typer

from netral.commands.common import Overwrite, app
from netral.errors import NetralError
from netral.progress import say


@app.command()
def stats(
    outputs: Annotated[list[str], typer.Argument(help="Outputs of `netral label`: files or folders, of sentences or of articles.")],
    by: Annotated[
        list[str] | None,
        typer.Option(help="outlet, region, day, week, month, year, or a field of the records; repeat. Default: outlet, region and week."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="SVG file.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Count articles and labels by outlet, region, week or any field, with intervals."""
    from inference.outputs.stats import SMALL, UNKNOWN, count, table, write_csv
    from inference.outputs.stats_plot import plot as draw
    from netral.io.paths import refuse_existing, replacing_file
    from netral.tables import print_table

    files = [path for path in (out, plot) if path is not None]
    taken = {path.resolve() for path in files}
    if len(taken) < len(files) or taken & {Path(name).resolve() for name in outputs}:
        raise NetralError(f"{', '.join(map(str, files))}: two outputs, or an output and an input, are one file", "name different files")
    for path in files:
        refuse_existing(path, overwrite)
    found = count(outputs, by or ["outlet", "region", "week"])
    for name, groups in list(found.groups.items()):
        if list(groups) == [UNKNOWN]:
            say(f"stats: {name}: no article says it in its fields, so it is left out")
            del found.groups[name]
            continue
        rows = table(found, name)
        print_table(rows, stderr=False)
        if len(groups) > len(rows) - 1:
            say(f"stats: {name}: {len(rows) - 1} of {len(groups)} groups are shown" + (f", all are in {out}" if out else ", --out has all"))
    say(f"stats: articles with the label, their share, its 95 % interval (Wilson); * fewer than {SMALL} articles")
    if found.repeated:
        say(f"stats: {found.repeated} articles have the id of an earlier one; was an output passed twice?", level="warning")
    if len(found.models) > 1:
        say(f"stats: the rows come from {len(found.models)} models, whose shares do not compare", level="warning")
    if out is not None:
        write_csv(found, out)
        say(f"stats: written to {out}")
    if plot is not None:
        with replacing_file(plot) as beside:
            beside.write_text(draw(found), encoding="utf-8")
        say(f"stats: drawn in {plot}")
