"""Commands of the training stage: prepare, pretrain, train, distill, evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from netral.commands.common import ConfigFile, Inputs, Overrides, Overwrite, app
from netral.errors import NetralError
from netral.progress import say

Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of an interrupted run.")]


@app.command()
def prepare(
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="Folder for the data set.")],
    gold: Annotated[
        list[Path] | None,
        typer.Option(help="Label file, such as the corrections of a report page, or a folder of them. May be repeated; the later counts."),
    ] = None,
    keep_splits: Annotated[
        Path | None, typer.Option(help="An earlier data set: its articles stay in their splits. It may be the one that --out replaces.")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a partitioned data set from articles and gold labels."""
    from netral.config import load_config
    from training.data.prepare import prepare as run

    settings = load_config(config, overrides)
    before = [settings.prepare.gold] if isinstance(settings.prepare.gold, str) else settings.prepare.gold or []
    files = [*before, *map(str, gold or [])]
    settings = settings.model_copy(update={"prepare": settings.prepare.model_copy(update={"gold": files})})
    found = run(inputs, out, settings, keep_splits=keep_splits, overwrite=overwrite)
    if found.get("unchanged"):
        say(f"prepare: {out} is up to date, nothing to do")
        return
    counts = found["counts"]
    for split, each in counts["splits"].items():
        say(f"prepare: {split}: " + ", ".join(f"{value} {key}" for key, value in each.items()))
    for each in counts["label_files"][1:]:
        changed, same, new = (each.get(what, 0) for what in ("changed", "as before", "new"))
        say(f"prepare: {each['file']}: {changed} sentences got other labels, {same} the same, {new} had none before")
    if counts.get("moved"):
        say(f"prepare: {counts['moved']} sentences changed their split: a near-duplicate of their article came in", level="warning")
    rejects = ", ".join(f"{n} {reason}" for reason, n in counts["rejects"].items()) or "none"
    say(f"prepare: rejects: {rejects}; without labels: {counts['unlabelled']}; written to {out}")


@app.command()
def pretrain(
    inputs: Inputs,
    config: Annotated[Path, typer.Option("-c", "--config", help="Recipe, for example configs/recipes/indobert-base.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder for the encoder; set model.encoder to it.")],
    overrides: Overrides = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Pre-train an encoder further on a crawl, before it is fine-tuned."""
    from netral.config import load_config

    settings = load_config(config, overrides)
    from training.fitting.pretrain import pretrain as run

    found = run(inputs, out, settings, resume=resume, overwrite=overwrite)
    if found.get("unchanged"):
        say(f"pretrain: {out} is up to date, nothing to do")
        return
    before, after = found["held_out"]["before"], found["held_out"]["after"]
    say(
        f"pretrain: held-out perplexity {before['perplexity']} before, {after['perplexity']} after; "
        f"{found['tokens_per_second']} tokens/s ({found['precision']}); written to {out}"
    )


@app.command()
def distill(
    inputs: Inputs,
    config: Annotated[Path, typer.Option("-c", "--config", help="Recipe of the student, for example configs/recipes/mini.yaml.")],
    teacher: Annotated[list[Path], typer.Option(help="Model folder; repeat for several teachers.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    data: Annotated[Path, typer.Option(help="Data set made by `netral prepare`.")] = Path("runs/data"),
    overrides: Overrides = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Teach an encoder what trained models say about a crawl, together with the gold labels."""
    from netral.config import load_config

    settings = load_config(config, overrides)
    from training.fitting.distill import distill as run

    found = run(inputs, teacher, settings, data, out, resume=resume, overwrite=overwrite)
    if found.get("unchanged"):
        say(f"distill: {out} is up to date, nothing to do")
        return
    counts, best = found["distillation"]["counts"], found["validation_macro_average_precision"]
    say(
        f"distill: {counts['gold']} gold and {counts['kept']} unlabelled sentences, {counts['focus']} of these where a label may hold; "
        f"{found['seconds']:.0f} s, validation macro AP {best:.3f}; written to {out}"
    )


@app.command()
def train(
    config: Annotated[Path, typer.Option("-c", "--config", help="Recipe, for example configs/recipes/mini.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    data: Annotated[Path, typer.Option(help="Data set made by `netral prepare`.")] = Path("runs/data"),
    overrides: Overrides = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    seeds: Annotated[int | None, typer.Option(min=2, help="Train with so many seeds, report the spread, keep the median model.")] = None,
) -> None:
    """Fine-tune an encoder and write a model folder."""
    from netral.config import load_config

    settings = load_config(config, overrides)
    if seeds is not None:
        from training.fitting.seeds import train_seeds

        spread = train_seeds(settings, data, out, seeds, resume=resume, overwrite=overwrite)
        if spread.get("unchanged"):
            say(f"train: {out} is up to date, nothing to do")
        say(
            f"train: {spread['figure']} of {len(spread['seeds'])} seeds: mean {spread['mean']:.4f}, sd {spread['sd']:.4f}, "
            f"min {spread['min']:.4f}, max {spread['max']:.4f}; {out} holds the median, seed {spread['kept']}"
        )
        return
    from training.fitting.fit import train as run
    from training.fitting.fit import validation_figure

    found = run(settings, data, out, resume=resume, overwrite=overwrite)
    if found.get("unchanged"):
        say(f"train: {out} is up to date, nothing to do")
        return
    name, best = validation_figure(found)
    say(f"train: {found['epochs_run']:.0f} epochs in {found['seconds']:.0f} s, validation {name} {best:.3f}; written to {out}")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    cases: Annotated[Path | None, typer.Argument(help="With --behaviour: your own folder of cases.", metavar="FOLDER")] = None,
    data: Annotated[Path, typer.Option(help="Data set made by `netral prepare`.")] = Path("runs/data"),
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    require: Annotated[list[str] | None, typer.Option(help="Bound such as 'macro_f1>=0.85', 'warning.f1>=0.8'. May be repeated.")] = None,
    no_worse_than: Annotated[Path | None, typer.Option(help="Report of another model that this one must not be worse than.")] = None,
    base: Annotated[
        Path | None, typer.Option(help="Report or model to show the changes from; else --no-worse-than.", metavar="REPORT_OR_MODEL")
    ] = None,
    behaviour: Annotated[bool, typer.Option("--behaviour", help="Run the behaviour suite too: --behaviour [FOLDER].")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Score a model beside the baselines, with intervals; exit code 1 if a bound is missed and the whole interval lies beyond it."""
    if cases and not behaviour:
        raise NetralError(f"{cases}: an argument too many", "pass it as --behaviour FOLDER")
    from netral.config import load_config
    from netral.tables import print_table
    from training.evaluation.assess import evaluate as run
    from training.evaluation.behaviour import default_folder
    from training.report.markdown import behaviour_rows, table_rows, verdict, weakest_line
    from training.statistics.compare import verdict as compared
    from training.statistics.gates import check_against_base, check_requirements, parse_requirement
    from training.statistics.predictions import read_predictions

    settings, requirements = load_config(config, overrides), [parse_requirement(text) for text in require or []]
    before = read_predictions(no_worse_than) if no_worse_than else None
    folder = (cases or default_folder()) if behaviour else None
    found = run(model, data, out, settings, split=split, behaviour=folder, base=base, no_worse_than=no_worse_than, overwrite=overwrite)
    if found.get("unchanged"):
        say(f"evaluate: {out} is up to date, nothing to do")
    print_table(table_rows(found))
    for line in [*verdict(found), *weakest_line(found)]:
        say(line)
    if "base" in found:
        say(compared(found["base"], *found["base"]["models"]))
    if behaviour:
        print_table(behaviour_rows(found["behaviour"]))
    say(f"evaluate: {found['data']['sentences']} sentences of {found['data']['articles']} articles ({split}); report in {out}/report.html")
    failed, doubtful = check_requirements(found, requirements)
    if before and no_worse_than:
        failed += check_against_base(before, no_worse_than, out, settings)
    for line in doubtful:
        say(f"evaluate: beyond its bound, but the interval holds it: {line}", level="warning")
    for line in failed:
        say(f"evaluate: failed: {line}", level="error")
    if failed:
        raise typer.Exit(1)
