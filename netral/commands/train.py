"""Commands of the training stage: prepare, train, evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from netral.commands.common import ConfigFile, Inputs, Overrides, Overwrite, app
from netral.progress import say


@app.command()
def prepare(
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="Folder for the data set.")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a partitioned data set from articles and gold labels."""
    from netral.config import load_config
    from training.prepare import prepare as run

    found = run(inputs, out, load_config(config, overrides), overwrite=overwrite)
    if found.get("unchanged"):
        say(f"prepare: {out} is up to date, nothing to do")
        return
    counts = found["counts"]
    for split, each in counts["splits"].items():
        say(f"prepare: {split}: " + ", ".join(f"{value} {key}" for key, value in each.items()))
    rejects = ", ".join(f"{n} {reason}" for reason, n in counts["rejects"].items()) or "none"
    say(f"prepare: rejects: {rejects}; without labels: {counts['unlabelled']}; written to {out}")


@app.command()
def train(
    config: Annotated[Path, typer.Option("-c", "--config", help="Recipe, for example configs/recipes/mini.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    data: Annotated[Path, typer.Option(help="Data set made by `netral prepare`.")] = Path("runs/data"),
    overrides: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of an interrupted run.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Fine-tune an encoder and write a model folder."""
    from netral.config import load_config

    settings = load_config(config, overrides)
    from training.fit import train as run

    found = run(settings, data, out, resume=resume, overwrite=overwrite)
    if found.get("unchanged"):
        say(f"train: {out} is up to date, nothing to do")
        return
    best = found["validation_macro_average_precision"]
    say(f"train: {found['epochs_run']:.0f} epochs in {found['seconds']:.0f} s, validation macro AP {best:.3f}; written to {out}")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    data: Annotated[Path, typer.Option(help="Data set made by `netral prepare`.")] = Path("runs/data"),
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    require: Annotated[list[str] | None, typer.Option(help="Bound such as 'macro_f1>=0.85', 'warning.f1>=0.8'. May be repeated.")] = None,
    no_worse_than: Annotated[Path | None, typer.Option(help="Report of another model that this one must not be worse than.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Score a model beside the baselines, with intervals; exit code 1 if a bound is missed and the whole interval lies beyond it."""
    from netral.config import load_config
    from netral.tables import print_table
    from training.assess import evaluate as run
    from training.report import table_rows, verdict
    from training.statistics.gates import check_against_base, check_requirements, parse_requirement
    from training.statistics.predictions import read_predictions

    settings, requirements = load_config(config, overrides), [parse_requirement(text) for text in require or []]
    base = read_predictions(no_worse_than) if no_worse_than else None
    found = run(model, data, out, settings, split=split, overwrite=overwrite)
    if found.get("unchanged"):
        say(f"evaluate: {out} is up to date, nothing to do")
    print_table(table_rows(found))
    for line in verdict(found):
        say(line)
    say(f"evaluate: {found['data']['sentences']} sentences of {found['data']['articles']} articles ({split}); report in {out}/report.md")
    failed, doubtful = check_requirements(found, requirements)
    if base and no_worse_than:
        failed += check_against_base(base, no_worse_than, out, settings)
    for line in doubtful:
        say(f"evaluate: beyond its bound, but the interval holds it: {line}", level="warning")
    for line in failed:
        say(f"evaluate: failed: {line}", level="error")
    if failed:
        raise typer.Exit(1)
