"""`python -m training.bench_training [--steps N] [--seeds N] [--markdown FILE]`: the speed of fine-tuning beside the plain recipe."""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import TrainerCallback

from inference.bench.common import GOLD, ROOT, Table
from inference.bench.peak import encoder_operations, gemm_peaks, peak_table
from inference.bench.report import Report, machine_table
from inference.host import allowed_cores
from netral.config import Config, load_config
from training.data.dataset import load_split
from training.data.prepare import prepare
from training.fitting.fit import Rows, new_trainer
from training.fitting.trainer import choose_precision

_RECIPE = ROOT / "configs" / "recipes" / "mini.yaml"
PLAIN = "plain: random batches, padded to the longest, fp32"
# Name, how sentences are put into batches, precision. Everything else is the recipe's and alike.
SYSTEMS = (
    (PLAIN, "random", "fp32"),
    ("length grouping, fp32", "group_by_length", "fp32"),
    ("length grouping, bf16", "group_by_length", "bf16"),
)
# The first steps allocate memory and choose kernels.
_UNCOUNTED = 5


@dataclass(slots=True)
class _Clock:
    """Counts the time and the tokens of steps, the first ones apart."""

    steps: int = 0
    begun: float = 0.0
    seconds: float = 0.0
    tokens: int = 0
    positions: int = 0
    lengths: list[int] = field(default_factory=list)


class _Timing(TrainerCallback):  # type: ignore[misc]
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        clock = self._clock
        clock.steps += 1
        if clock.steps == _UNCOUNTED:
            clock.begun = time.perf_counter()
            clock.tokens = clock.positions = 0
            clock.lengths.clear()
        clock.seconds = time.perf_counter() - clock.begun


def measure(config: Config, data: Path, sampling: str, precision: str, steps: int, seed: int, work: Path) -> tuple[_Clock, float, Any]:
    """Train for some steps; return times and tokens, the macro average precision on validation, and the model's configuration."""
    settings = config.train.model_copy(update={"precision": precision, "seed": seed, "epochs": 1})
    config = config.model_copy(update={"train": settings})
    train, validation = load_split(data, "train", config.label_names), load_split(data, "validation", config.label_names)
    trainer, tokenizer = new_trainer(config, train, None, work)
    trainer.args.train_sampling_strategy, trainer.args.max_steps = sampling, steps
    clock, collate = _Clock(), trainer.data_collator

    def counting(rows: list[dict[str, Any]]) -> Any:
        batch = collate(rows)
        clock.tokens += int(batch["attention_mask"].sum())
        clock.positions += batch["attention_mask"].numel()
        clock.lengths += batch["attention_mask"].sum(1).tolist()
        return batch

    trainer.data_collator = counting
    trainer.add_callback(_Timing(clock))
    trainer.train()
    trainer.data_collator = collate
    found = trainer.evaluate(Rows(validation, tokenizer, config.model.max_length))
    return clock, found["eval_macro_average_precision"], trainer.model.config


def table(config: Config, data: Path, steps: int, seeds: int, peaks: dict[str, float], work: Path) -> Table:
    """Train each system once a seed, in turn, and compare the medians."""
    runs: dict[str, list[tuple[_Clock, float, Any]]] = {name: [] for name, *_ in SYSTEMS}
    for seed in range(seeds):
        for name, sampling, precision in SYSTEMS:
            runs[name].append(measure(config, data, sampling, precision, steps, config.train.seed + seed, work))
    rows: Table = [["fine-tuning", "tokens/s", "ratio", "tokens of positions", "of its GEMM peak", f"macro AP after {steps} steps"]]
    base = median(clock.tokens / clock.seconds for clock, *_ in runs[PLAIN])
    for name, _, precision in SYSTEMS:
        rate = median(clock.tokens / clock.seconds for clock, *_ in runs[name])
        share = [_operations(clock, shape, work) / clock.seconds / peaks[precision] for clock, _, shape in runs[name]]
        clocks, figures = [clock for clock, *_ in runs[name]], [figure for _, figure, _ in runs[name]]
        filled = sum(clock.tokens for clock in clocks) / sum(clock.positions for clock in clocks)
        rows.append(
            [
                f"{name} (the recipe here)" if name != PLAIN and precision == choose_precision("auto") else name,
                f"{rate:.0f}",
                f"{rate / base:.2f}",
                f"{filled:.0%}",
                f"{median(share):.0%}",
                f"{mean(figures):.3f} ({', '.join(f'{figure:.3f}' for figure in figures)})",
            ]
        )
    return rows


def _operations(clock: _Clock, shape: Any, work: Path) -> float:
    """Count the operations of the matrix products: the backward pass has two for each of the forward pass."""
    shape.save_pretrained(work)
    return 3 * encoder_operations(work, clock.lengths)


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(prog="python -m training.bench_training", description="Measure fine-tuning beside the plain recipe.")
    parser.add_argument("--steps", type=int, default=150, help="optimizer steps of each run")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each system, each with its own seed")
    parser.add_argument("--markdown", type=Path, help="file with marks to write the tables between, as docs/training.md")
    options = parser.parse_args()
    torch.set_num_threads(allowed_cores())
    config = load_config(_RECIPE)
    report = Report()
    report.add("Machine", machine_table(options.seeds))
    peaks = gemm_peaks(3)
    report.add("Measured peaks", peak_table(peaks))
    with TemporaryDirectory(prefix="netral-bench-") as folder:
        data = Path(folder) / "data"
        prepare([str(GOLD / "articles.jsonl")], data, config)
        found = table(config, data, options.steps, options.seeds, peaks, Path(folder) / "work")
    report.add("Fine-tuning the embedded encoder on the gold corpus", found, f"{options.seeds} seeds, medians; {allowed_cores()} cores.")
    if options.markdown:
        report.write(options.markdown)


if __name__ == "__main__":
    main()
