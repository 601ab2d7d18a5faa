"""The command line's application, and the options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from netral.errors import NetralError
from netral.progress import LOGS, say, use_log

PLAIN: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False, "pretty_exceptions_enable": False, "no_args_is_help": True}
app = typer.Typer(
    help="Label sentences of Indonesian news about the neutrality of civil servants in elections; retrain the model on your own labels.",
    **PLAIN,
)

Inputs = Annotated[
    list[str],
    typer.Argument(
        help="Files, folders, globs: .txt, .jsonl, .csv, .tsv, .html (also .gz, .zst, .xz), .parquet, .warc(.gz); - reads JSONL from stdin."
    ),
]
OutLines = Annotated[str, typer.Option(help="OUT.jsonl, or - for standard output.")]
Rejects = Annotated[str | None, typer.Option(help="File for rejected rows; default: beside the output.")]
ConfigFile = Annotated[Path | None, typer.Option("-c", "--config", help="YAML file, for example configs/recipes/mini.yaml.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override one setting: --set train.epochs=3. May be repeated.")]
Log = Annotated[str, typer.Option(help="auto: for people; json: one JSON object a line on standard error.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists and is out of date.")]


def choose_log(kind: str) -> None:
    """Choose how messages are written."""
    if kind not in LOGS:
        raise NetralError(f"--log {kind}: unknown", f"choose one of {', '.join(LOGS)}")
    use_log(kind)


def closing(stage: str, out: str, found: dict[str, Any], reject_file: Path | str | None) -> None:
    """Say where the output is, and what was rejected."""
    if found.get("unchanged"):
        say(f"{stage}: {out} is up to date, nothing to do")
        return
    for name, columns in found["counts"].get("columns", {}).items():
        say(f"{stage}: {name} read from " + ", ".join(f"{column} ({n} rows)" for column, n in columns.items()))
    if skipped := found["counts"].get("skipped_records"):
        say(f"{stage}: WARC records that are no page: " + ", ".join(f"{n} {kind}" for kind, n in skipped.items()))
    rejects = found["counts"]["rejects"]
    if rejects:
        where = f", see {reject_file}" if reject_file else ""
        say(f"{stage}: rejected rows: " + ", ".join(f"{n} {reason}" for reason, n in rejects.items()) + where)
    if out != "-":
        say(f"{stage}: written to {out}")
