"""Goes on with an encoder's masked-language-model pre-training on a crawl, before it is fine-tuned."""

import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback, set_seed

from netral.config import Config, PretrainSettings
from netral.errors import NetralError
from netral.io.paths import STDIN, expand_inputs, refuse_existing, replacing_folder
from netral.progress import Progress, say
from netral.provenance import RUN_FILE, file_digest, fingerprint, folder_digest, is_current, libraries, write_json
from training.fitting.encoder import encoder_source, load_masked_lm, load_tokenizer
from training.fitting.fit import SHARD_SIZE, checkpoints_of
from training.fitting.sequences import FIRST_PIECE, SPECIAL, Sequences, open_sequences, pack_crawl
from training.fitting.trainer import BaseTrainer, ProgressCallback, choose_precision, resume_point, training_arguments

# What BERT does with a chosen token: 80 % become the mask, 10 % a random token, 10 % stay (Devlin et al. 2019).
_MASKED, _RANDOM = 0.8, 0.1
_IGNORED = -100


def pretrain(inputs: Sequence[str], out: Path, config: Config, *, resume: bool = False, overwrite: bool = False) -> dict[str, Any]:
    """Pre-train the configured encoder further and write a folder that `model.encoder` takes; return its run record.

    The crawl is packed once into files beside the output; they and the checkpoints lie in ``<out>.checkpoints`` until the
    encoder is written. ``resume`` goes on from the last checkpoint and gives the same weights as a run that was never stopped.

    Raises:
        NetralError: Nothing to read, too little text, an encoder that does not fit, or the output exists.
    """
    if STDIN in inputs:
        raise NetralError("-: pretrain reads files, not standard input", "save the records as a .jsonl file")
    checkpoints = checkpoints_of(out)
    paths = [path for path in expand_inputs(inputs, exclude=out) if checkpoints.resolve() not in path.resolve().parents]
    digests = [(path.name, file_digest(path)) for path in paths]
    wanted = _fingerprint(config, digests)
    if is_current(out / RUN_FILE, wanted):
        return {**json.loads((out / RUN_FILE).read_text(encoding="utf-8")), "unchanged": True}
    refuse_existing(out, overwrite)
    resume_from = resume_point(checkpoints, wanted, resume, overwrite)
    tokenizer = load_tokenizer(encoder_source(config), config.model.revision)
    counts = pack_crawl(paths, checkpoints / "sequences", config, tokenizer)
    set_seed(config.pretrain.seed)
    model, new_head = load_masked_lm(config, tokenizer)
    trainer = _trainer(config, model, tokenizer, checkpoints, config.pretrain.head_steps if new_head else 0)
    begun = time.monotonic()
    with Progress("pretrain", "steps", config.pretrain.steps - _steps_done(resume_from)) as progress:
        trainer.add_callback(ProgressCallback(progress, _describe))
        before = trainer.evaluate()["eval_loss"]
        trainer.train(resume_from_checkpoint=resume_from)
        after = trainer.evaluate()["eval_loss"]
    seconds = time.monotonic() - begun
    curve = {str(entry["step"]): round(entry["eval_loss"], 4) for entry in trainer.state.log_history if "eval_loss" in entry}
    run: dict[str, Any] = {
        "stage": "pretrain",
        "fingerprint": wanted,
        "settings": config.model_dump(include={"text", "read", "model", "pretrain"}),
        "inputs": dict(digests),
        "encoder": {"source": config.model.encoder, "parameters": sum(p.numel() for p in model.parameters()), "new_head": new_head},
        "counts": counts,
        "held_out": {"before": _figures(before), "after": _figures(after), "loss_by_step": curve},
        "seconds": round(seconds, 1),
        "tokens_per_second": round((config.pretrain.steps - _steps_done(resume_from)) * _tokens_a_step(config.pretrain) / seconds),
        "device": str(trainer.args.device),
        "precision": choose_precision(config.pretrain.precision),
        "resumed": resume_from is not None,
        "libraries": libraries(),
    }
    with replacing_folder(out) as folder:
        dtype = torch.float16 if config.pretrain.save_dtype == "fp16" else torch.float32
        model.to("cpu", dtype=dtype).save_pretrained(folder, max_shard_size=SHARD_SIZE)
        tokenizer.save_pretrained(folder)
        run["files"] = sorted(path.name for path in folder.iterdir())
        write_json(folder / RUN_FILE, run)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return run


def _fingerprint(config: Config, digests: list[tuple[str, str]]) -> str:
    settings = config.model_dump(include={"text", "read", "pretrain"})
    settings["model"] = {"encoder": config.model.encoder, "revision": config.model.revision, "layers": config.model.layers}
    source = Path(encoder_source(config))
    if source.is_dir():
        settings["model"]["encoder"] = "folder"
        digests = [*digests, ("encoder", folder_digest(source))]
    return fingerprint("pretrain", settings, digests)


def _steps_done(checkpoint: str | None) -> int:
    return int(checkpoint.rpartition("-")[2]) if checkpoint else 0


def _tokens_a_step(settings: PretrainSettings) -> int:
    return settings.batch_size * settings.gradient_accumulation * settings.length


def _figures(loss: float) -> dict[str, float]:
    return {"loss": round(loss, 4), "perplexity": round(math.exp(min(loss, 50)), 2)}


def _describe(state: Any, metrics: dict[str, float]) -> str:
    loss = metrics.get("eval_loss", 0.0)
    return f"step {state.global_step}: held-out loss {loss:.4f}, perplexity {math.exp(min(loss, 50)):.2f}"


class MaskedSequences(torch.utils.data.Dataset[dict[str, Any]]):
    """Sequences with some words masked, as many items as are asked for, over and over in a new order with new masks.

    An item depends on the seed and its number alone. So a resumed run sees what an uninterrupted one would have seen, whatever a
    data loader had read ahead.
    """

    def __init__(self, sequences: Sequences, tokenizer: Any, settings: PretrainSettings, items: int, shuffled: bool = True) -> None:
        """Mask ``sequences`` as set; unshuffled, the items are spread evenly over them."""
        self._sequences, self._settings, self._items, self._shuffled = sequences, settings, items, shuffled
        self._mask_id, self._vocabulary = tokenizer.mask_token_id, len(tokenizer)
        self._epoch, self._order = -1, np.arange(0)

    def __len__(self) -> int:
        """Return the number of items."""
        return self._items

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return the masked ids and the ids to be found again, `-100` where nothing is asked."""
        if not 0 <= index < self._items:
            raise IndexError(index)
        row = self._row(index)
        ids, kinds = self._sequences.ids[row].astype(np.int64), self._sequences.kinds[row]
        rng = np.random.default_rng([self._settings.seed, int(self._shuffled), index])
        chosen = choose_tokens(kinds, self._settings.mask_share, self._settings.whole_words, rng)
        labels = np.where(chosen, ids, _IGNORED)
        fate = rng.random(len(ids))
        masked = np.where(chosen & (fate < _MASKED), self._mask_id, ids)
        swapped = chosen & (fate >= _MASKED) & (fate < _MASKED + _RANDOM)
        masked[swapped] = rng.integers(self._vocabulary, size=int(swapped.sum()))
        return {"input_ids": masked, "labels": labels}

    def _row(self, index: int) -> int:
        if not self._shuffled:
            return index * len(self._sequences) // self._items
        epoch, place = divmod(index, len(self._sequences))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self._settings.seed, epoch]).permutation(len(self._sequences))
        return int(self._order[place])


def choose_tokens(kinds: np.ndarray, share: float, whole_words: bool, rng: np.random.Generator) -> np.ndarray:
    """Choose which positions are to be guessed: words drawn at random that fit into the share, and at least one.

    Args:
        kinds: What each position is: special, first or further piece of a word.
        share: Of the positions that are not special.
        whole_words: Choose all pieces of a word or none (whole-word masking), else each piece for itself.
        rng: Where the chance comes from.

    Returns:
        bool array, one value a position.
    """
    pieces = np.flatnonzero(kinds != SPECIAL)
    if not len(pieces):
        return np.zeros(len(kinds), dtype=bool)
    starts = (kinds[pieces] == FIRST_PIECE) if whole_words else np.ones(len(pieces), dtype=bool)
    words = np.cumsum(starts) - starts[0]
    sizes, room = np.bincount(words), round(share * len(pieces))
    drawn = rng.permutation(len(sizes))
    taken = []
    for word in drawn:
        if sizes[word] <= room:
            taken.append(word)
            room -= sizes[word]
        if not room:
            break
    taken = taken or [drawn[0]]
    chosen = np.zeros(len(kinds), dtype=bool)
    chosen[pieces[np.isin(words, taken)]] = True
    return chosen


class _PretrainTrainer(BaseTrainer):
    """Predicts the masked tokens; the encoder rests while a new head learns."""

    def __init__(self, *, settings: PretrainSettings, head_steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings, self._head_steps = settings, head_steps

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **kwargs: Any) -> Any:
        with self.accelerator.autocast():
            loss = masked_loss(self.accelerator.unwrap_model(model), inputs["input_ids"], inputs["labels"])
        return (loss, {}) if return_outputs else loss

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        if self.lr_scheduler is None:  # type: ignore[has-type]
            optimizer = optimizer or self.optimizer
            waits = [self._head_steps if group["rests"] else 0 for group in optimizer.param_groups]
            shares: list[Callable[[int], float]] = [
                partial(rate_share, wait=wait, steps=num_training_steps, warmup=self._settings.warmup) for wait in waits
            ]
            self.lr_scheduler = LambdaLR(optimizer, shares)
            self._created_lr_scheduler = True
        return self.lr_scheduler


def rate_share(step: int, *, wait: int, steps: int, warmup: float) -> float:
    """Return the share of the full rate at a step: none while waiting, then a linear rise over ``warmup`` of what is left, then a fall.

    >>> [round(rate_share(step, wait=10, steps=30, warmup=0.5), 2) for step in (0, 9, 10, 15, 20, 25, 30)]
    [0.0, 0.0, 0.0, 0.5, 1.0, 0.5, 0.0]
    """
    rise = warmup * (steps - wait)
    if step < wait:
        return 0.0
    if step < wait + rise:
        return (step - wait) / rise
    return max(0.0, (steps - step) / max(steps - wait - rise, 1))


def masked_loss(model: Any, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of the masked tokens.

    The head, which is as wide as the vocabulary, is computed at the masked positions only: the same loss with a seventh of its work.
    A model whose head is not one module beside its encoder is computed whole.
    """
    heads = [child for child in model.children() if child is not model.base_model]
    if len(heads) != 1:
        whole: torch.Tensor = model(input_ids=input_ids, labels=labels).loss
        return whole
    hidden, asked = model.base_model(input_ids=input_ids).last_hidden_state, labels != _IGNORED
    return cross_entropy(heads[0](hidden[asked]).float(), labels[asked])


class _EvaluateAt(TrainerCallback):  # type: ignore[misc]
    """Evaluates when the new head is ready and the encoder still is what it was: the figure to compare the end with."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_evaluate = control.should_evaluate or state.global_step == self._step


def _trainer(config: Config, model: Any, tokenizer: Any, checkpoints: Path, head_steps: int) -> _PretrainTrainer:
    settings = config.pretrain
    # In the modules, not in the configuration: fine-tuning later finds what the encoder came with.
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = settings.dropout
    held = open_sequences(checkpoints / "sequences", "held_out", settings.length)
    crawl = open_sequences(checkpoints / "sequences", "train", settings.length)
    items = settings.steps * settings.batch_size * settings.gradient_accumulation
    say(
        f"pretrain: {len(crawl)} sequences of {settings.length} tokens, each seen {items / len(crawl):.1f} times; {len(held)} held out"
        + (f"; the head is new, the encoder rests for {head_steps} steps" if head_steps else "")
    )
    args = training_arguments(
        checkpoints,
        precision=settings.precision,
        compiled=settings.compile,
        model=model,
        seed=settings.seed,
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        eval_strategy="steps",
        eval_steps=settings.checkpoint_every,
        save_strategy="steps",
        save_steps=settings.checkpoint_every,
        prediction_loss_only=True,
        # The order is the data set's own.
        train_sampling_strategy="sequential",
    )
    trainer = _PretrainTrainer(
        settings=settings,
        head_steps=head_steps,
        groups=_groups(model, settings),
        model=model,
        args=args,
        train_dataset=MaskedSequences(crawl, tokenizer, settings, items),
        eval_dataset=MaskedSequences(held, tokenizer, settings, min(len(held), settings.held_out_sequences), shuffled=False),
    )
    if head_steps:
        trainer.add_callback(_EvaluateAt(head_steps))
    return trainer


def _groups(model: Any, settings: PretrainSettings) -> list[dict[str, Any]]:
    """Return optimizer groups: encoder and head, each with and without weight decay (norms and biases have none)."""
    found: dict[tuple[bool, bool], list[Any]] = {}
    for name, parameter in model.named_parameters():
        found.setdefault((name.startswith(f"{model.base_model_prefix}."), parameter.ndim >= 2), []).append(parameter)
    return [
        {"params": params, "lr": settings.learning_rate, "weight_decay": settings.weight_decay if matrix else 0.0, "rests": encoder}
        for (encoder, matrix), params in found.items()
    ]
