"""What fine-tuning and pre-training share: the Trainer with netral's optimizer, its arguments, precision, checkpoints and progress."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from netral.config import Precision
from netral.errors import NetralError
from netral.progress import Progress
from netral.provenance import is_current, write_json

_STATE_FILE = "netral_fingerprint.json"


class BaseTrainer(Trainer):  # type: ignore[misc]
    """A Trainer without its printed lines, whose optimizer is AdamW over given groups of parameters.

    AdamW runs fused: 42 instead of 157 ms a step for the 31 million parameters of the embedded encoder on one core.
    """

    def __init__(self, *, groups: list[dict[str, Any]], **kwargs: Any) -> None:
        """Take the optimizer's groups, each with its `lr` and `weight_decay`."""
        super().__init__(**kwargs)
        self._groups = groups
        # Losses here are means over a batch. Without this the Trainer, seeing that the model's `forward` takes any keyword, would sum
        # them over the accumulation steps instead of averaging.
        self.model_accepts_loss_kwargs = False
        self.remove_callback(PrinterCallback)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """Make the optimizer once."""
        if self.optimizer is None:  # type: ignore[has-type]
            self.optimizer = torch.optim.AdamW(self._groups, fused=True)
        return self.optimizer


def training_arguments(
    checkpoints: Path, *, precision: Precision, compiled: bool, model: Any, seed: int, **kwargs: Any
) -> TrainingArguments:
    """Return the arguments that every training has, and those given; `compiled` compiles the model's encoder in place."""
    use_cuda = torch.cuda.is_available()
    chosen = choose_precision(precision)
    if compiled:
        # The encoder alone: heads and losses are small, and the names of the weights stay.
        model.base_model.compile(dynamic=True)
    return TrainingArguments(
        output_dir=str(checkpoints),
        bf16=chosen == "bf16",
        fp16=chosen == "fp16",
        use_cpu=not use_cuda,
        seed=seed,
        data_seed=seed,
        save_total_limit=2,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=use_cuda,
        remove_unused_columns=False,
        label_names=["labels"],
        restore_callback_states_from_checkpoint=True,
        push_to_hub=False,
        **kwargs,
    )


def choose_precision(wanted: Precision) -> str:
    """Resolve `auto`: bf16 (else fp16) on a GPU, bf16 on a processor with AMX, else fp32. Weights always stay in fp32.

    Raises:
        NetralError: fp16 is asked for without a GPU.
    """
    use_cuda = torch.cuda.is_available()
    if wanted == "auto":
        if use_cuda:
            return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
        # Measured on a Sapphire Rapids: 1.6 times the tokens a second (docs/training.md). Without AMX it was not measured.
        return "bf16" if torch.cpu._is_amx_tile_supported() else "fp32"
    if wanted == "fp16" and not use_cuda:
        raise NetralError("the precision is fp16, which needs a CUDA device", "use fp32 or bf16 on a CPU")
    return wanted


class ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """Shows steps, and what each evaluation found."""

    def __init__(self, progress: Progress, describe: Callable[[Any, dict[str, float]], str]) -> None:
        """Take what is advanced step by step, and what words the figures of an evaluation, given the Trainer's state."""
        self._progress, self._describe = progress, describe

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count a step."""
        self._progress.advance(1)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Show an evaluation."""
        self._progress.say(self._describe(state, metrics or {}))


def resume_point(checkpoints: Path, wanted: str, resume: bool, overwrite: bool) -> str | None:
    """Return the checkpoint to go on from; leftovers of another run are removed.

    Raises:
        NetralError: An interrupted run with the same settings is there and neither option was given, or the folder is not ours.
    """
    state = checkpoints / _STATE_FILE
    if checkpoints.exists() and not state.is_file():
        raise NetralError(f"{checkpoints}: a folder that netral did not write stands where checkpoints go", "choose another --out")
    if is_current(state, wanted):
        if resume:
            return _last_whole_checkpoint(checkpoints)
        if not overwrite:
            raise NetralError(
                f"{checkpoints}: an interrupted run with these settings", "pass --resume to go on, or --overwrite to start anew"
            )
    shutil.rmtree(checkpoints, ignore_errors=True)
    checkpoints.mkdir(parents=True)
    write_json(state, {"fingerprint": wanted})
    return None


def _last_whole_checkpoint(checkpoints: Path) -> str | None:
    """Return the newest checkpoint that was written to its end: the Trainer writes its state file last."""
    whole = [path for path in checkpoints.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    newest = max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    for path in checkpoints.glob("checkpoint-*"):
        if path not in whole:
            shutil.rmtree(path)
    return str(newest) if newest else None
