"""Commands that weigh figures: compare, decide, review, drift."""

from pathlib import Path
from typing import Annotated

import typer

from netral.commands.common import ConfigFile, Overrides, Overwrite, app
from netral.progress import say


@app.command()
def compare(
    systems: Annotated[
        list[Path], typer.Argument(help="Reports of `netral evaluate`, or model folders with --data; the first is the base.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for compare.json, compare.md and changes.jsonl.")] = None,
    data: Annotated[Path | None, typer.Option(help="For model folders: data set made by `netral prepare`.")] = None,
    split: Annotated[str, typer.Option(help="For model folders: train, validation or test.")] = "test",
    show: Annotated[int, typer.Option(min=0, help="Changed sentences to print for each label and kind.")] = 2,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Tell whether a model is better than another on the same sentences, and which sentences changed."""
    from netral.config import load_config
    from netral.io.paths import refuse_existing
    from netral.tables import print_table
    from training.statistics import compare as stage

    settings = load_config(config, overrides)
    if out:
        refuse_existing(out, overwrite)
    answers = stage.load_systems(systems, data, split, settings)
    found = stage.compare(answers, settings)
    for name in found["models"]:
        print_table(stage.table_rows(found, name))
        for line in stage.shown_changes(found, name, show):
            say(line)
        say(stage.verdict(found, name))
    if out:
        stage.write_comparison(out, found, {name: str(path) for name, path in zip(answers, systems, strict=True)}, overwrite)
        say(f"compare: written to {out}")


@app.command()
def decide(
    model: Annotated[Path, typer.Argument(help="Model folder; its decision.json is written.")],
    goal: Annotated[
        list[str] | None,
        typer.Option(help="f1, precision=0.95, recall=0.9 or review=200/day; for one label warning:precision=0.95. May be repeated."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data set of the model, where no out-of-fold scores lie beside it.")] = None,
    per_day: Annotated[float | None, typer.Option(min=1, help="For review goals: sentences that a day brings.")] = None,
    crawl: Annotated[
        Path | None, typer.Option(help="For review goals: output of `netral label`, to count in instead of labelled data.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be chosen.")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Choose thresholds and review bands for what you want of each label; says what to expect and what cannot be promised."""
    from netral.config import load_config
    from netral.errors import NetralError
    from netral.io.paths import replacing_file
    from netral.model_folder import DECISION_FILE, open_model_folder
    from netral.provenance import write_json
    from netral.tables import print_table
    from training.statistics import decide as stage
    from training.statistics.goals import parse_goal

    if not goal:
        raise NetralError("no --goal", "for example --goal f1 --goal warning:precision=0.95")
    goals = [parse_goal(text, open_model_folder(model).labels) for text in goal]
    decision, report = stage.decide(model, goals, load_config(config, overrides), data=data, crawl=crawl, per_day=per_day)
    print_table(stage.table_rows(report))
    say(f"decide: chosen on {report['sentences']} sentences of {report['articles']} articles ({report['source']})")
    if review := report.get("review"):
        bands = ", ".join(f"{label} {low:g} to {high:g}" for label, (low, high) in review["bands"].items()) or "none"
        caught = "" if review["errors_among_them"] is None else f", {review['errors_among_them']:.0%} of the wrong labels among them"
        say(f"decide: review bands: {bands}: {review['to_review_per_day']:g} of {review['per_day']:g} sentences a day{caught}")
        for label, each in review["no_band"].items():
            say(
                f"decide: {label}: no review band: the {each['tied_per_day']:g} sentences a day nearest to a threshold are equally near, "
                f"too many for {each['goal']}; let people see more of them, or count in a crawl with --crawl",
                level="warning",
            )
    if dry_run:
        say(f"decide: {model} is as it was")
        return
    with replacing_file(model / DECISION_FILE) as path:
        write_json(path, decision.model_dump(mode="json"))
    say(f"decide: written to {model / DECISION_FILE}")
    if (model / "exports").is_dir():
        say("decide: the exports were held against the old thresholds; make them again with `netral export`")


@app.command()
def review(
    out: Annotated[Path, typer.Argument(help="Output of `netral label`.")],
    model: Annotated[Path, typer.Option(help="Model folder with review bands, from `netral decide --goal review=…`.")],
    queue: Annotated[Path, typer.Option("--out", help="The queue, as JSON lines, the most uncertain first.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Rows at most.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the sentences whose scores are too near a threshold to trust, for a person to look at."""
    from training.statistics.review import review as run

    found = run(out, model, queue, limit=limit, overwrite=overwrite)
    if found["other_model"]:
        say(
            f"review: {found['other_model']} rows were labelled with another model or other thresholds than those of {model}",
            level="warning",
        )
    say(f"review: {found['in_bands']} of {found['rows']} sentences are in doubt; {found['written']} written to {queue}")


@app.command()
def drift(
    reference: Annotated[Path, typer.Argument(help="What is known: output of `netral label`, or data set of `netral prepare`.")],
    other: Annotated[Path, typer.Argument(help="What came in: output of `netral label`.")],
    out: Annotated[Path | None, typer.Option(help="File for the figures, as JSON.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Tell whether new articles differ so much from known ones that the model should be trained again."""
    from netral.config import load_config
    from netral.io.paths import refuse_existing, replacing_file
    from netral.provenance import write_json
    from netral.tables import print_table
    from training.statistics import drift as stage

    settings = load_config(config, overrides).evaluate
    if out:
        refuse_existing(out, overwrite)
    found = stage.drift(stage.read_side(reference), stage.read_side(other), settings)
    print_table(stage.table_rows(found))
    for line in stage.described(found):
        say(line)
    if out:
        with replacing_file(out) as path:
            write_json(path, found)
        say(f"drift: written to {out}")
