"""The `netral` command: one thin function a command; heavy imports happen inside."""

import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from netral.errors import NetralError
from netral.progress import LOGS, say, use_log

_PLAIN: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False, "pretty_exceptions_enable": False, "no_args_is_help": True}
app = typer.Typer(
    help="Label sentences of Indonesian news about the neutrality of civil servants in elections; retrain the model on your own labels.",
    **_PLAIN,
)
config_app = typer.Typer(help="Show, check and describe configuration files.", **_PLAIN)
app.add_typer(config_app, name="config")

Inputs = Annotated[
    list[str],
    typer.Argument(
        help="Files, folders or globs: .txt, .jsonl, .csv, .html (also .gz, .zst, .xz), .parquet, .warc(.gz); - reads JSONL from stdin."
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("-c", "--config", help="YAML file, for example configs/recipes/mini.yaml.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override one setting: --set train.epochs=3. May be repeated.")]
Log = Annotated[str, typer.Option(help="auto: for people; json: one JSON object a line on standard error.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists and is out of date.")]

EXIT_CODES = (
    "Exit codes: 0 all done; 2 wrong usage, or input or output that cannot be used; 3 finished, with more rejects than --max-rejects; "
    "130 interrupted (143 by SIGTERM): run the same command again to go on."
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"netral {version('netral')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    pass


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
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Score a model beside the baselines, with intervals."""
    from netral.config import load_config
    from netral.tables import print_table
    from training.assess import evaluate as run
    from training.report import table_rows, verdict

    found = run(model, data, out, load_config(config, overrides), split=split, overwrite=overwrite)
    if found.get("unchanged"):
        say(f"evaluate: {out} is up to date, nothing to do")
    print_table(table_rows(found))
    for line in verdict(found):
        say(line)
    say(f"evaluate: {found['data']['sentences']} sentences of {found['data']['articles']} articles ({split}); report in {out}/report.md")


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    backend: Annotated[str, typer.Option(help="onnx, openvino, or torch for a reduced precision.")],
    precision: Annotated[str, typer.Option(help="fp32 or int8 (onnx); fp32, bf16 or int8 (openvino); bf16 or fp16 (torch).")],
    data: Annotated[Path, typer.Option(help="Data set made by `netral prepare`: the gate compares on its validation split.")] = Path(
        "runs/data"
    ),
    out: Annotated[Path | None, typer.Option(help="Copy the model there with the export; default: put the export into MODEL.")] = None,
) -> None:
    """Make a model faster: convert it for another backend or precision, if its decisions stay the same."""
    from inference.export import export as run

    found = run(model, backend, precision, data, out=out, say=say)
    f1 = ", ".join(f"{name} {pair[0]:.1f} -> {pair[1]:.1f}" for name, pair in found.f1.items() if pair)
    say(
        f"export: {found.variant} passed on {found.sentences} sentences: {len(found.flips)} of {found.sentences * len(found.f1)} decisions "
        f"differ, largest probability difference {found.largest_probability_difference}"
    )
    if found.settled:
        say(f"export: {found.settled} sentences lay within {found.band} of a threshold and were settled in fp32")
    say(f"export: F1 {f1}")
    say(f"export: written to {out or model}/exports/{found.variant}")


@app.command(epilog=EXIT_CODES)
def label(
    inputs: Inputs,
    out: Annotated[str, typer.Option(help="OUT.jsonl, OUT.parquet, a folder (DIR/) for long jobs, or - for standard output.")],
    model: Annotated[Path | None, typer.Option(help="Model folder; without it the embedded default model (not IndoBERT).")] = None,
    backend: Annotated[str, typer.Option(help="auto, torch, onnx, openvino or fake.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16 or int8.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    batch_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens in one batch; changes speed and memory only.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps scores for later runs of the same model.")] = None,
    workers: Annotated[str, typer.Option(help="For a folder: number of processes; auto: the cores that may be used.")] = "auto",
    shard: Annotated[str | None, typer.Option(help="For a folder: do only every n-th shard, as i/n, in one of n jobs.")] = None,
    rejects: Annotated[str | None, typer.Option(help="File for rejected rows; default: beside the output.")] = None,
    max_rejects: Annotated[int | None, typer.Option(min=0, help="Exit with 3 if more rows were rejected; all is written still.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: a folder by a Ray cluster; inputs and DIR/ may be s3:// or gs://.")] = "local",
    address: Annotated[str | None, typer.Option(help="For --engine ray: the cluster, for example auto; default: this machine.")] = None,
    log: Log = "auto",
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Label every sentence of a crawl. A folder job that was stopped goes on with the same command."""
    _use_log(log)
    from inference.job import sidecars
    from netral.config import load_config

    extra = [f"label.batch_tokens={batch_tokens}"] if batch_tokens is not None else []
    settings = load_config(config, [*(overrides or []), *extra])
    given: dict[str, Any] = {"model": model, "backend": backend, "precision": precision, "device": device}
    given |= {"cache": cache, "overwrite": overwrite}
    if _on_ray(engine, out, address, {"--workers": workers != "auto", "--shard": shard, "--rejects": rejects}):
        from inference.ray_job import label_on_ray

        found = label_on_ray(inputs, out, settings, address=address, **given)
    else:
        from inference.job import label as run
        from inference.locks import Slice

        part = Slice.parse(shard) if shard else None
        found = run(inputs, out, settings, rejects=rejects, workers=_workers(workers), part=part, **given)
    if "unfinished" in found:
        say(f"label: slice {shard} of {out} is done; {found['unfinished']} shards of other slices are not", **found)
        return
    if not found.get("unchanged"):
        counts = found["counts"]
        labels = ", ".join(f"{n} {name}" for name, n in counts["labels"].items()) or "none"
        say(
            f"label: {counts['sentences_out']} sentences from {counts['articles']} articles and {counts['sentence_rows']} sentence rows "
            f"in {found['seconds']:.1f} s ({found['sentences_per_second']:.0f}/s); labels: {labels}",
            event="summary",
            counts=counts,
        )
    _closing("label", out, found, f"{out}rejects.jsonl" if engine == "ray" else sidecars(out, rejects)[0])
    rejected = sum(found["counts"]["rejects"].values())
    if max_rejects is not None and rejected > max_rejects:
        say(f"label: {rejected} rejects, more than --max-rejects {max_rejects}", level="error")
        raise typer.Exit(3)


def _on_ray(engine: str, out: str, address: str | None, others: dict[str, Any]) -> bool:
    """Tell which engine is meant, and refuse options of the other one."""
    if engine not in ("local", "ray"):
        raise NetralError(f"--engine {engine}: unknown", "choose local or ray")
    if engine == "local":
        if address:
            raise NetralError(f"--address {address}: only for --engine ray", "add --engine ray")
        return False
    wrong = [name for name, given in others.items() if given]
    if wrong:
        raise NetralError(f"{', '.join(wrong)}: not for --engine ray", "leave it out; the section `ray` of the configuration sizes the job")
    if not out.endswith("/"):
        raise NetralError(f"{out}: --engine ray writes a folder", "name the output with / at the end")
    return True


def _workers(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise NetralError(f"--workers {text}: not a number of processes", "pass auto, or a number from 1")
    return int(text)


def _use_log(kind: str) -> None:
    if kind not in LOGS:
        raise NetralError(f"--log {kind}: unknown", f"choose one of {', '.join(LOGS)}")
    use_log(kind)


@app.command()
def split(
    inputs: Inputs,
    out: Annotated[str, typer.Option(help="OUT.jsonl, or - for standard output.")],
    dropped: Annotated[str | None, typer.Option(help="File for what cleaning dropped, with the rule's name.")] = None,
    rejects: Annotated[str | None, typer.Option(help="File for rejected rows; default: beside the output.")] = None,
    log: Log = "auto",
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Clean articles and split them into sentences, without a model."""
    _use_log(log)
    from inference.job import sidecars
    from inference.job import split as run
    from netral.config import load_config

    found = run(inputs, out, load_config(config, overrides), dropped=dropped, rejects=rejects, overwrite=overwrite)
    if not found.get("unchanged"):
        counts = found["counts"]
        drops = ", ".join(f"{n} {rule}" for rule, n in counts["dropped_by_cleaning"].items()) or "nothing"
        say(f"split: {counts['sentences_out']} sentences from {counts['articles']} articles; dropped: {drops}")
    _closing("split", out, found, sidecars(out, rejects)[0])


@app.command()
def cite(
    inputs: Inputs,
    out: Annotated[str, typer.Option(help="OUT.jsonl, or - for standard output.")],
    rejects: Annotated[str | None, typer.Option(help="File for rejected rows; default: beside the output.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """List the regulations that articles cite, as data."""
    from inference.cite import cite as run
    from inference.job import sidecars
    from netral.config import load_config

    found = run(inputs, out, load_config(config, overrides), rejects=rejects, overwrite=overwrite)
    if not found.get("unchanged"):
        counts = found["counts"]
        types = ", ".join(f"{n} {name}" for name, n in counts["types"].items()) or "none"
        rows = f"{counts['articles']} articles and {counts['sentence_rows']} sentence rows"
        say(f"cite: {counts['citations']} citations in {rows}; types: {types}")
    _closing("cite", out, found, sidecars(out, rejects)[0])


@app.command()
def dedup(
    inputs: Inputs,
    out: Annotated[str, typer.Option(help="OUT.jsonl, or - for standard output.")],
    rejects: Annotated[str | None, typer.Option(help="File for rejected rows; default: beside the output.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Find copies and near-copies of articles; nothing is deleted."""
    from inference.dedup import dedup as run
    from inference.job import sidecars
    from netral.config import load_config

    found = run(inputs, out, load_config(config, overrides), rejects=rejects, overwrite=overwrite)
    if not found.get("unchanged"):
        counts = found["counts"]
        kinds = ", ".join(f"{n} {name}" for name, n in counts["kinds"].items())
        say(f"dedup: {counts['articles']} articles in {counts['clusters']} clusters, the largest of {counts['largest_cluster']}: {kinds}")
    _closing("dedup", out, found, sidecars(out, rejects)[0])


@app.command()
def verify(
    out: Annotated[str, typer.Argument(help="Output of `netral label` or `netral split`.")],
    source: Annotated[Path | None, typer.Option(help="Folder to look for the sources in, if they were moved.")] = None,
    config: Annotated[Path | None, typer.Option("-c", "--config", help="How the sources are read; default: as the summary says.")] = None,
) -> None:
    """Read the sources of an output again and prove that every sentence and digest still matches; exit code 1 if one does not."""
    from inference.verify import verify as run
    from netral.config import load_config

    wrong = 0
    for found in run(out, load_config(config).read if config else None, source):
        if isinstance(found, int):
            say(f"verify: {found - wrong} of {found} rows match their sources")
            continue
        wrong += 1
        print(f"{out}:{found.row}: {found.reason}: {found.sentence_id} from {found.file or 'nowhere'}:{found.source_row}")
    if wrong:
        raise typer.Exit(1)


def _closing(stage: str, out: str, found: dict[str, Any], reject_file: Path | str | None) -> None:
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


@config_app.command("show")
def config_show(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Print every setting with its value, defaults included."""
    import yaml

    from netral.config import load_config

    print(yaml.safe_dump(load_config(config, overrides).model_dump(), sort_keys=False, allow_unicode=True), end="")


@config_app.command("check")
def config_check(files: Annotated[list[Path], typer.Argument(help="YAML files.")]) -> None:
    """Check configuration files."""
    from netral.config import load_config

    for path in files:
        load_config(path)
        say(f"{path}: ok")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of configuration files, for editors."""
    import json

    from netral.config import Config

    print(json.dumps(Config.model_json_schema(), indent=2))


def _terminate(number: int, frame: Any) -> None:
    """End like Ctrl-C does, so that nothing half-written stays; batch systems send SIGTERM before they kill."""
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line; a problem the user can solve ends with a message and exit code 2, never a traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except NetralError as error:
        say(f"error: {error}", level="error")
        raise SystemExit(2) from None
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        say(f"error: {name}{error.strerror or error}\n  next: check free space and permissions, then run again", level="error")
        raise SystemExit(2) from None
