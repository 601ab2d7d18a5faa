"""`python -m inference.bench [--only SUBJECTS] [--quick] [--full] [--model DIR] [--markdown FILE]`."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from inference.bench import whole_job
from inference.bench.common import Sizes, gold_sentences, news_sentences
from inference.bench.models import base_model, exported_model
from inference.bench.peak import gemm_peaks, peak_table
from inference.bench.quality import real_table
from inference.bench.report import Report, machine_table
from inference.bench.speed import load, single_table, speed_table, start_table, token_counts
from inference.bench.stability import busy_table, determinism_table
from inference.bench.systems import BATCH, NETRAL, PIPELINE, SORTED_TORCH, Place, loaders
from inference.bench.text import citation_table, splitter_table, text_table
from inference.predictor import DEFAULT_MODEL
from netral.errors import NetralError
from netral.model_folder import open_model_folder

SUBJECTS = ("quality", "speed", "base", "job")
# A look at every table, not a measurement.
QUICK = Sizes(rounds=1, sentences=32, base_sentences=16, alike=24, articles=(10,), scale=(50, 500))
# At IndoBERT-base's shape the slow peers say nothing new.
_BASE_PEERS = (PIPELINE, f"transformers pipeline, batch size {BATCH}", SORTED_TORCH, "onnxruntime loop, sorted by length")


def main() -> None:
    """Measure what was asked for, print it, and write it where asked."""
    options = _options()
    sizes = QUICK if options.quick else Sizes()
    report = Report()
    report.add("Machine", machine_table(sizes.rounds))
    with TemporaryDirectory(prefix="netral-bench-") as folder:
        work = Path(folder)
        if "quality" in options.only:
            _quality(report)
        place = exported_model(options.model, work) if {"speed", "job"} & set(options.only) else None
        peaks = gemm_peaks(sizes.rounds) if {"speed", "base"} & set(options.only) else {}
        if peaks:
            report.add("Measured peaks", peak_table(peaks))
        if place and "speed" in options.only:
            _shipped(report, place, sizes, peaks)
        if "base" in options.only:
            _base(report, base_model(work), sizes, peaks)
        if place and "job" in options.only:
            _job(report, place, sizes, work, options.full)
    if options.markdown:
        report.write(options.markdown)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m inference.bench", description="Measure netral beside its peers.")
    parser.add_argument("--only", type=_subjects, default=SUBJECTS, help=f"subjects, of {','.join(SUBJECTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="few sentences and one round: shows that it works, measures nothing")
    parser.add_argument("--full", action="store_true", help="scale the whole job with the real model instead of the fake backend")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="model folder, with its exports; default: the embedded one")
    parser.add_argument("--markdown", type=Path, help="file with marks to write the tables between, as docs/benchmarks.md")
    return parser.parse_args()


def _subjects(text: str) -> list[str]:
    found = text.split(",")
    if unknown := set(found) - set(SUBJECTS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return found


def _quality(report: Report) -> None:
    report.add("Splitter", splitter_table())
    report.add("Text stage", text_table())
    report.add("Citations", citation_table())
    report.add("Real sentences", real_table())


def _shipped(report: Report, place: Place, sizes: Sizes, peaks: dict[str, float]) -> None:
    loaded = load(loaders(place))
    longest = open_model_folder(place.model).serving.max_length
    sets = {"gold": gold_sentences(sizes.sentences), "crawled news": news_sentences(sizes.sentences)}
    for name, every in sets.items():
        counts = token_counts(place.model, every)
        # Longer ones are cut by the peers and read in windows by netral: not the same work.
        sentences = [sentence for sentence, count in zip(every, counts, strict=True) if count <= longest]
        if sentences:
            report.add(
                f"Shipped model, {name} sentences", speed_table(place, loaded, sentences, sizes.rounds, peaks), _lengths(place, sentences)
            )
    gold = sets["gold"]
    report.add("One sentence", single_table(loaded, gold, 10 * sizes.rounds))
    report.add("A busy core", busy_table(loaded, gold[: sizes.base_sentences], sizes.rounds))
    report.add("Start and memory, shipped model", start_table(place, list(loaded), gold))
    report.add("Determinism", determinism_table(place, gold_sentences(sizes.alike)))


def _base(report: Report, place: Place, sizes: Sizes, peaks: dict[str, float]) -> None:
    found = {name: each for name, each in loaders(place).items() if name in _BASE_PEERS or name.startswith(NETRAL)}
    sentences = gold_sentences(sizes.base_sentences)
    title = "Random weights of IndoBERT-base's shape, gold sentences"
    report.add(title, speed_table(place, load(found), sentences, sizes.rounds, peaks), _lengths(place, sentences))
    report.add("Start and memory, IndoBERT-base's shape", start_table(place, list(found), sentences))


def _job(report: Report, place: Place, sizes: Sizes, work: Path, real: bool) -> None:
    report.add("The whole job", whole_job.job_table(work, place.model, sizes.articles, sizes.rounds))
    report.add("The whole job's stages", whole_job.stage_table(work, place.model, sizes.articles[0]))
    # The real model takes half an hour for the largest input: once.
    rounds, backend = (1, "auto") if real else (sizes.rounds, "fake")
    report.add("The whole job from small to large", whole_job.scale_table(work, place.model, sizes.scale, rounds, backend))


def _lengths(place: Place, sentences: list[str]) -> str:
    counts = sorted(token_counts(place.model, sentences))
    deciles = [counts[len(counts) * tenth // 10] for tenth in (1, 5, 9)]
    return f"{len(sentences)} sentences; tokens at the first, fifth and ninth tenth: {', '.join(map(str, deciles))}."


if __name__ == "__main__":
    try:
        main()
    except NetralError as problem:
        print(f"error: {problem}", file=sys.stderr)
        raise SystemExit(2) from None
