"""Commands that work on crawls: label and export, split, cite, dedup, verify."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from netral.commands.common import ConfigFile, Inputs, Log, OutLines, Overrides, Overwrite, Rejects, app, choose_log, closing
from netral.errors import NetralError
from netral.progress import say

EXIT_CODES = (
    "Exit codes: 0 all done; 2 wrong usage, or input or output that cannot be used; 3 finished, with more rejects than --max-rejects; "
    "130 interrupted (143 by SIGTERM): run the same command again to go on."
)


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
    from inference.exports.export import export as run

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
    level: Annotated[str, typer.Option(help="What a row of the output is: sentence or article.")] = "sentence",
    batch_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens in one batch; changes speed and memory only.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps scores for later runs of the same model.")] = None,
    workers: Annotated[str, typer.Option(help="For a folder: number of processes; auto: the cores that may be used.")] = "auto",
    shard: Annotated[str | None, typer.Option(help="For a folder: do only every n-th shard, as i/n, in one of n jobs.")] = None,
    rejects: Rejects = None,
    max_rejects: Annotated[int | None, typer.Option(min=0, help="Exit with 3 if more rows were rejected; all is written still.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: a folder by a Ray cluster; inputs and DIR/ may be s3:// or gs://.")] = "local",
    address: Annotated[str | None, typer.Option(help="For --engine ray: the cluster, for example auto; default: this machine.")] = None,
    log: Log = "auto",
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Label every sentence of a crawl. A folder job that was stopped goes on with the same command."""
    choose_log(log)
    from inference.jobs.job import sidecars
    from netral.config import load_config

    extra = [f"label.batch_tokens={batch_tokens}"] if batch_tokens is not None else []
    settings = load_config(config, [*(overrides or []), *extra])
    given: dict[str, Any] = {"model": model, "backend": backend, "precision": precision, "device": device, "level": level}
    given |= {"cache": cache, "overwrite": overwrite}
    if _on_ray(engine, out, address, {"--workers": workers != "auto", "--shard": shard, "--rejects": rejects}):
        from inference.ray_jobs.job import label_on_ray

        found = label_on_ray(inputs, out, settings, address=address, **given)
    else:
        from inference.jobs.job import label as run
        from inference.jobs.locks import Slice

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
        if level == "article":
            with_label = ", ".join(f"{n} {name}" for name, n in counts["article_labels"].items()) or "none"
            say(f"label: {counts['article_rows']} articles; with a label: {with_label}")
        if review := counts.get("review"):
            say(_review_line(review, out, model, level))
    closing("label", out, found, f"{out}rejects.jsonl" if engine == "ray" else sidecars(out, rejects)[0])
    rejected = sum(found["counts"]["rejects"].values())
    if max_rejects is not None and rejected > max_rejects:
        say(f"label: {rejected} rejects, more than --max-rejects {max_rejects}", level="error")
        raise typer.Exit(3)


def _review_line(review: dict[str, Any], out: str, model: Path | None, level: str) -> str:
    """Say how many sentences lie in the model's review bands, and how to get them."""
    labels = ", ".join(f"{n} {name}" for name, n in review["labels"].items())
    line = f"label: {review['sentences']} sentences lie in the review bands: {labels}"
    # `review` reads sentence rows, from a disk.
    if not review["sentences"] or level != "sentence" or "://" in out:
        return line
    command = ["netral", "review", "OUT" if out == "-" else out, "--model", str(model or "MODEL"), "--out", "queue.jsonl"]
    return f"{line}; next: {shlex.join(command)}"


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


@app.command()
def split(
    inputs: Inputs,
    out: OutLines,
    dropped: Annotated[str | None, typer.Option(help="File for what cleaning dropped, with the rule's name.")] = None,
    rejects: Rejects = None,
    log: Log = "auto",
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Clean articles and split them into sentences, without a model."""
    choose_log(log)
    from inference.jobs.job import sidecars
    from inference.jobs.job import split as run
    from netral.config import load_config

    found = run(inputs, out, load_config(config, overrides), dropped=dropped, rejects=rejects, overwrite=overwrite)
    if not found.get("unchanged"):
        counts = found["counts"]
        drops = ", ".join(f"{n} {rule}" for rule, n in counts["dropped_by_cleaning"].items()) or "nothing"
        say(f"split: {counts['sentences_out']} sentences from {counts['articles']} articles; dropped: {drops}")
    closing("split", out, found, sidecars(out, rejects)[0])


@app.command()
def cite(
    inputs: Inputs,
    out: OutLines,
    rejects: Rejects = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """List the regulations that articles cite, as data."""
    from inference.jobs.cite import cite as run
    from inference.jobs.job import sidecars
    from netral.config import load_config

    found = run(inputs, out, load_config(config, overrides), rejects=rejects, overwrite=overwrite)
    if not found.get("unchanged"):
        counts = found["counts"]
        types = ", ".join(f"{n} {name}" for name, n in counts["types"].items()) or "none"
        rows = f"{counts['articles']} articles and {counts['sentence_rows']} sentence rows"
        say(f"cite: {counts['citations']} citations in {rows}; types: {types}")
    closing("cite", out, found, sidecars(out, rejects)[0])


@app.command()
def dedup(
    inputs: Inputs,
    out: OutLines,
    rejects: Rejects = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Find copies and near-copies of articles; nothing is deleted."""
    from inference.jobs.dedup import dedup as run
    from inference.jobs.job import sidecars
    from netral.config import load_config

    found = run(inputs, out, load_config(config, overrides), rejects=rejects, overwrite=overwrite)
    if not found.get("unchanged"):
        counts = found["counts"]
        kinds = ", ".join(f"{n} {name}" for name, n in counts["kinds"].items())
        say(f"dedup: {counts['articles']} articles in {counts['clusters']} clusters, the largest of {counts['largest_cluster']}: {kinds}")
    closing("dedup", out, found, sidecars(out, rejects)[0])


@app.command()
def verify(
    out: Annotated[str, typer.Argument(help="Output of `netral label` or `netral split`.")],
    source: Annotated[Path | None, typer.Option(help="Folder to look for the sources in, if they were moved.")] = None,
    config: Annotated[Path | None, typer.Option("-c", "--config", help="How the sources are read; default: as the summary says.")] = None,
) -> None:
    """Read the sources of an output again and prove that every sentence and digest still matches; exit code 1 if one does not."""
    from inference.outputs.verify import verify as run
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
