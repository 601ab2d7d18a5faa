"""Commands of the labelling loop: annotate export, import, agreement, errors."""

from pathlib import Path
from typing import Annotated, Any

import typer

from netral.commands.common import PLAIN, ConfigFile, Overrides, Overwrite, app
from netral.progress import say

annotate_app = typer.Typer(help="Choose sentences to label, give them to annotators, bring the answers back, find label errors.", **PLAIN)
app.add_typer(annotate_app, name="annotate")

_FORMATS = "label-studio, doccano, prodigy, argilla, csv or netral"


@annotate_app.command("export")
def annotate_export(
    inputs: Annotated[list[str], typer.Argument(help="Output of `netral label`: JSONL or Parquet files, or folders of them.")],
    out: Annotated[
        Path, typer.Option(help="File to write: .json for label-studio and argilla, .jsonl for doccano, prodigy, netral; .csv.")
    ],
    kind: Annotated[str, typer.Option("--format", help=f"{_FORMATS[0].upper()}{_FORMATS[1:]}.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many sentences.")],
    model: Annotated[
        Path | None, typer.Option(help="Model that labelled the input, for its thresholds; default: seen in the rows.")
    ] = None,
    exclude: Annotated[list[Path] | None, typer.Option(help="Answers or labels: nothing like them is chosen. May be repeated.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Choose what to label next and write it for an annotation tool, with the model's labels as suggestions."""
    from netral.config import load_config
    from training.annotation.export import export as run

    settings = load_config(config, overrides)
    found = run(inputs, out, settings, kind=kind, n=n, model=model, exclude=exclude or (), overwrite=overwrite)
    strategies = ", ".join(f"{count} {name}" for name, count in found["strategies"].items()) or "none"
    say(f"annotate export: {found['chosen']} of {found['sentences']} sentences: {strategies}; written to {out}")
    if found["chosen"] < n:
        say(f"annotate export: {n - found['chosen']} fewer than asked for: no more sentences that differ enough from those chosen")


@annotate_app.command("import")
def annotate_import(
    files: Annotated[list[Path], typer.Argument(help="What the annotation tool exported.")],
    out: Annotated[Path, typer.Option(help="Answers, as JSON lines: one row for each sentence and annotator.")],
    kind: Annotated[str | None, typer.Option("--format", help=f"{_FORMATS}; default: seen in the file.")] = None,
    annotator: Annotated[str | None, typer.Option(help="Who answered, where the file does not say.")] = None,
    gold: Annotated[Path | None, typer.Option(help="Also write what the answers agree on, as a label file for `netral prepare`.")] = None,
    adjudicator: Annotated[str | None, typer.Option(help="For --gold: the annotator whose answer decides where there is one.")] = None,
    at_least: Annotated[int, typer.Option(min=1, help="For --gold: answers that a sentence needs.")] = 1,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Bring answers back from an annotation tool; with --gold decide them by majority."""
    from netral.config import load_config
    from training.annotation.collect import collect, undecided_file

    deciding: dict[str, Any] = {"gold": gold, "adjudicator": adjudicator, "at_least": at_least}
    _, found = collect(files, out, load_config(config, overrides), kind=kind, annotator=annotator, overwrite=overwrite, **deciding)
    say(
        f"annotate import: {found['answers']} answers of {found['annotators']} annotators on {found['sentences']} sentences; "
        f"{found['skipped']} skipped, {found['repeated']} answered again; format {', '.join(found['formats'])}; written to {out}"
    )
    if gold is not None:
        say(f"annotate import: {found['decided']} sentences decided, in {gold}; {found['undecided']} undecided, in {undecided_file(gold)}")


@annotate_app.command("agreement")
def annotate_agreement(
    answers: Annotated[Path, typer.Argument(help="Answers that `netral annotate import` wrote.")],
    out: Annotated[Path, typer.Option(help="Sentences to adjudicate.")],
    kind: Annotated[str, typer.Option("--format", help=f"Format of that file: {_FORMATS}.")] = "netral",
    report: Annotated[Path | None, typer.Option(help="Also write the figures, as JSON.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure agreement: Krippendorff's alpha for each label, Cohen's kappa for each pair; list what to adjudicate."""
    from netral.config import load_config
    from netral.io.paths import refuse_existing, replacing_file
    from netral.provenance import write_json
    from netral.tables import print_table
    from training.annotation.agreement import agreement, to_adjudicate
    from training.annotation.collect import read_answers
    from training.annotation.formats import format_named

    settings, chosen = load_config(config, overrides), format_named(kind)
    for path in (out, report):
        if path is not None:
            refuse_existing(path, overwrite)
    given = read_answers(answers)
    found = agreement(given, settings.label_names, settings.evaluate)
    tasks = to_adjudicate(given, settings.label_names)
    with replacing_file(out) as beside:
        chosen.write(tasks, beside)
    if report is not None:
        with replacing_file(report) as beside:
            write_json(beside, found)
    print_table(_alpha_table(found))
    if any(pair["n"] for pair in found["pairs"]):
        print_table(_pair_table(found))
    say(
        f"annotate agreement: {found['answered_by_several']} of {found['sentences']} sentences have two answers or more; "
        f"{len(tasks)} to adjudicate, in {out}"
    )


def _alpha_table(found: dict[str, Any]) -> list[list[str]]:
    rows = [["label", "alpha", f"{found['confidence']:.0%} interval over articles", "given", "answers"]]
    for label, each in found["labels"].items():
        interval = "-" if each["interval"] is None else "{:.2f} to {:.2f}".format(*each["interval"])
        rows.append([label, _figure(each["alpha"]), interval, str(each["given"]), str(each["answers"])])
    return rows


def _pair_table(found: dict[str, Any]) -> list[list[str]]:
    labels = list(found["labels"])
    rows = [["annotators", "n", "same labels", *(f"{label}: kappa (agreement)" for label in labels)]]
    for pair in found["pairs"]:
        if pair["n"]:
            each = (pair["labels"][label] for label in labels)
            cells = (f"{_figure(figures['kappa'])} ({figures['agreement']:.2f})" for figures in each)
            rows.append([" and ".join(pair["annotators"]), str(pair["n"]), f"{pair['same_labels']:.2f}", *cells])
    return rows


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


@annotate_app.command("errors")
def annotate_errors(
    out: Annotated[Path, typer.Option(help="The ranking, as JSON lines, the likeliest error first.")],
    data: Annotated[Path, typer.Option(help="Data set made by `netral prepare`.")] = Path("runs/data"),
    scores: Annotated[Path | None, typer.Option(help="Rows with sentence_id and scores by models that did not see the sentence.")] = None,
    encoder: Annotated[bool, typer.Option("--encoder", help="Also use the encoder's outputs: slower, and finds more.")] = False,
    top: Annotated[int, typer.Option(min=0, help="Rows to print.")] = 10,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Rank labelled sentences by how likely one of their labels is wrong."""
    from netral.config import load_config
    from netral.tables import print_table
    from training.annotation.label_errors import find_errors

    settings = load_config(config, overrides)
    found = find_errors(data, out, settings, scores=scores, encoder=encoder, overwrite=overwrite)
    rows = [["label in doubt", "given", "chance that it is right", "sentence"]]
    for row in found[:top]:
        doubt = row["doubt"]
        rows.append([doubt["label"], "yes" if doubt["given"] else "no", f"{doubt['probability_right']:.3f}", row["sentence"]])
    if top:
        print_table(rows)
    say(f"annotate errors: {len(found)} sentences ranked, the likeliest errors first, in {out}")
