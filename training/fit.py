"""Fine-tunes an encoder and writes a model folder. The only file that touches transformers' Trainer."""

import json
import shutil
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import (
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from inference.batching import make_batches
from inference.predictor import Predictor
from inference.tokenise import Text
from netral.config import Config, TrainSettings
from netral.errors import NetralError
from netral.io.paths import refuse_existing, replacing_folder
from netral.model_folder import DECISION_FILE, TEXT_FILE, Decision, ServingText
from netral.progress import Progress
from netral.provenance import RUN_FILE, file_digest, fingerprint, folder_digest, is_current, libraries, write_json
from training.card import write_card
from training.choices import Choices, choice_figures, choice_loss, choose_temperatures, class_weights, likeliest
from training.dataset import LabelledSentences, load_split
from training.decision import choose_decision
from training.encoder import encode, encoder_source, load_classifier, load_tokenizer, type_separator
from training.metrics import average_precision_of

# Git hosts and hubs refuse or warn about larger files.
_SHARD_SIZE = "45MB"
_STATE_FILE = "netral_fingerprint.json"


def train(config: Config, data: Path, out: Path, *, resume: bool = False, overwrite: bool = False) -> dict[str, Any]:
    """Fine-tune the configured encoder on a prepared data set and write a model folder.

    Checkpoints lie beside the output in ``<out>.checkpoints`` until the model is written; ``resume`` goes on from the last one
    made with the same settings and gives the same model as a run that was never interrupted.

    Returns:
        The run record, with ``unchanged`` set if the model was there and up to date.

    Raises:
        NetralError: The data set or encoder is missing or does not fit, or the output exists.
    """
    wanted = train_fingerprint(config, data)
    if is_current(out / RUN_FILE, wanted):
        return {**json.loads((out / RUN_FILE).read_text(encoding="utf-8")), "unchanged": True}
    refuse_existing(out, overwrite)
    task: dict[str, Any] = {"labels": config.label_names, "choices": config.choices, "pairs": config.pairs}
    train_split, validation = load_split(data, "train", **task), load_split(data, "validation", **task)
    source = encoder_source(config)
    tokenizer = load_tokenizer(source, config.model.revision)
    set_seed(config.train.seed)
    model = load_classifier(config, tokenizer)
    if config.model.pooling == "mean":
        standardise_pooled(model, tokenizer, train_split.inputs, config.model.max_length)
    checkpoints = out.with_name(out.name + ".checkpoints")
    resume_from = _resume_point(checkpoints, wanted, resume, overwrite)
    trainer = _trainer(config, model, tokenizer, train_split, validation, checkpoints)
    begun = time.monotonic()
    with Progress("train", "steps") as progress:
        trainer.add_callback(_ProgressCallback(progress))
        trainer.train(resume_from_checkpoint=resume_from)
    seconds = time.monotonic() - begun
    run: dict[str, Any] = {
        "stage": "train",
        "fingerprint": wanted,
        "settings": config.model_dump(),
        "inputs": {split: file_digest(data / f"{split}.parquet") for split in ("train", "validation")},
        "encoder": {"source": config.model.encoder, "parameters": sum(p.numel() for p in model.parameters())},
        "counts": {
            "train": len(train_split),
            "validation": len(validation),
            "truncated": {"train": _truncated(tokenizer, train_split, config), "validation": _truncated(tokenizer, validation, config)},
        },
        "best_checkpoint": Path(trainer.state.best_model_checkpoint or "").name or None,
        f"validation_{best_figure(config)}": trainer.state.best_metric,
        "epochs_run": trainer.state.epoch,
        "seconds": round(seconds, 1),
        "device": str(trainer.args.device),
        "resumed": resume_from is not None,
        "libraries": libraries(),
    }
    # Where the label file lies on this machine is nobody else's business.
    run["settings"]["prepare"]["gold"] = Path(config.prepare.gold).name if config.prepare.gold else None
    with replacing_folder(out) as folder:
        _write_model(folder, trainer.model, tokenizer, config)
        decision = _decide(folder, validation, config)
        run["decision"] = decision.model_dump()
        write_card(folder, run)
        run["files"] = sorted(path.name for path in folder.iterdir())
        write_json(folder / RUN_FILE, run)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return run


def train_fingerprint(config: Config, data: Path) -> str:
    """Return the digest of everything that decides a model: settings, data, encoder and code."""
    settings = config.model_dump(include={"labels", "task", "pairs", "text", "model", "train", "decision"})
    source = Path(encoder_source(config))
    files = [data / f"{split}.parquet" for split in ("train", "validation")]
    inputs = [(path.name, file_digest(path)) for path in files if path.is_file()]
    if source.is_dir():
        settings["model"]["encoder"] = "folder"
        inputs.append(("encoder", folder_digest(source)))
    return fingerprint("train", settings, inputs)


def _resume_point(checkpoints: Path, wanted: str, resume: bool, overwrite: bool) -> str | None:
    """Return the checkpoint to go on from; leftovers of another run are removed."""
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


def standardise_pooled(model: Any, tokenizer: Any, sentences: Sequence[Text], max_length: int) -> None:
    """Set the last layer norm so that what the head reads has mean 0 and variance 1 over the training sentences.

    Means of sentence encoders lie close together (cosines of 0.78 and more between any two of forty news sentences); without
    this the head spends the first epochs on learning to look past what they share. Done before training, it is a start
    value, not a constraint.
    """
    batches = make_batches(encode(tokenizer, sentences, max_length)["input_ids"], tokenizer.pad_token_id, 4096)
    model.eval()
    pooled = []
    with torch.inference_mode():
        for batch in batches:
            ids, mask = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)
            pooled.append(model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])
    values = torch.cat(pooled)
    mean, deviation = values.mean(0), values.std(0).clamp_min(1e-3)
    norm = model.base_model.encoder.layer[-1].output.LayerNorm
    with torch.no_grad():
        norm.weight.div_(deviation)
        norm.bias.sub_(mean).div_(deviation)


def _last_whole_checkpoint(checkpoints: Path) -> str | None:
    """Return the newest checkpoint that was written to its end: the Trainer writes its state file last."""
    whole = [path for path in checkpoints.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    newest = max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    for path in checkpoints.glob("checkpoint-*"):
        if path not in whole:
            shutil.rmtree(path)
    return str(newest) if newest else None


class _Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Tokenised sentences with float labels."""

    def __init__(self, split: LabelledSentences, tokenizer: Any, max_length: int, typed: bool) -> None:
        self._encoded = encode(tokenizer, split.inputs, max_length)
        self._keys = ("input_ids", "attention_mask", *(["token_type_ids"] if typed else []))
        self._truth = split.truth.astype(np.float32)

    def __len__(self) -> int:
        return len(self._truth)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**{key: self._encoded[key][index] for key in self._keys}, "labels": self._truth[index]}


class _MultilabelTrainer(Trainer):  # type: ignore[misc]
    """Binary cross-entropy per label with a weight on positives, or cross-entropy over choices; learning rates by layer."""

    def __init__(self, *, settings: TrainSettings, pos_weight: torch.Tensor, choices: Choices, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings, self._pos_weight, self._choices = settings, pos_weight, choices

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **kwargs: Any) -> Any:
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        logits, weight = outputs.logits.float(), self._pos_weight.to(labels.device)
        if self._choices:
            loss = choice_loss(logits, labels, self._choices, weight)
        else:
            loss = binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)
        return (loss, outputs) if return_outputs else loss

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        if self.optimizer is None:  # type: ignore[has-type]
            self.optimizer = torch.optim.AdamW(parameter_groups(self.model, self._settings), lr=self._settings.learning_rate)
        return self.optimizer


def parameter_groups(model: Any, settings: TrainSettings) -> list[dict[str, Any]]:
    """Return optimizer groups: each layer's rate decays with its distance from the head; norms and biases keep their weight.

    Layers are found by name (`encoder.layer.N`, BERT's and RoBERTa's); models that share one layer's weights, such as ALBERT,
    have a single depth.
    """
    depth = getattr(model.config, "num_hidden_layers", 0)
    head_rate = settings.head_learning_rate or settings.learning_rate
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("classifier") or ".pooler." in name:
            rate = head_rate
        else:
            rate = settings.learning_rate * settings.layer_decay ** _distance_from_head(name, depth)
        decay = 0.0 if parameter.ndim < 2 else settings.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def _distance_from_head(name: str, depth: int) -> int:
    parts = name.split(".")
    if "embeddings" in parts:
        return depth
    for before, after in pairwise(parts):
        if before == "layer" and after.isdigit():
            return depth - 1 - int(after)
    return 0


class _ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """Shows steps and the validation figure of each epoch."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self._progress.advance(1)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **kwargs: Any) -> None:
        found = metrics or {}
        name = args.metric_for_best_model
        self._progress.say(
            f"epoch {state.epoch:.0f} of {args.num_train_epochs:.0f}: validation loss {found.get('eval_loss', 0):.4f}, "
            f"{name.replace('_', ' ')} {found.get(f'eval_{name}', 0):.4f}"
        )


def _trainer(
    config: Config, model: Any, tokenizer: Any, train_split: LabelledSentences, validation: LabelledSentences, checkpoints: Path
) -> _MultilabelTrainer:
    settings = config.train
    if settings.freeze_embeddings:
        for parameter in model.base_model.embeddings.parameters():
            parameter.requires_grad = False
    use_cuda = torch.cuda.is_available()
    precision = settings.precision
    if precision == "auto":
        precision = ("bf16" if torch.cuda.is_bf16_supported() else "fp16") if use_cuda else "fp32"
    if precision == "fp16" and not use_cuda:
        raise NetralError("train.precision is fp16, which needs a CUDA device", "use fp32 or bf16 on a CPU")
    args = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not use_cuda,
        seed=settings.seed,
        data_seed=settings.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=best_figure(config),
        greater_is_better=True,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=use_cuda,
        remove_unused_columns=False,
        label_names=["labels"],
        train_sampling_strategy="group_by_length",
        restore_callback_states_from_checkpoint=True,
        push_to_hub=False,
    )
    truth, choices, typed = train_split.truth, config.choices, _separator(config, tokenizer, model) is not None
    trainer = _MultilabelTrainer(
        settings=settings,
        pos_weight=class_weights(truth, choices, settings) if choices else positive_weights(truth, settings),
        choices=choices,
        model=model,
        args=args,
        train_dataset=_Rows(train_split, tokenizer, config.model.max_length, typed),
        eval_dataset=_Rows(validation, tokenizer, config.model.max_length, typed),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda p: _validation_metrics(p, config),
    )
    trainer.remove_callback(PrinterCallback)
    if settings.early_stopping_patience is not None:
        trainer.add_callback(EarlyStoppingCallback(settings.early_stopping_patience))
    return trainer


def positive_weights(truth: np.ndarray, settings: TrainSettings) -> torch.Tensor:
    """Return the weight of a positive per label: 1, negatives over positives, or the square root of that, bounded.

    The root is the default: the full ratio makes rare labels overconfident, which calibration then has to undo.
    """
    positives = np.maximum(truth.sum(0), 1)
    ratio = (len(truth) - positives) / positives
    weight = {"none": np.ones_like(ratio), "sqrt": np.sqrt(ratio), "balanced": ratio}[settings.pos_weight]
    return torch.tensor(np.clip(weight, 1, settings.max_pos_weight), dtype=torch.float32)


def best_figure(config: Config) -> str:
    """Name the validation figure that the best epoch is chosen by: one that needs no threshold."""
    return "macro_f1" if config.choices else "macro_average_precision"


def validation_figure(run: dict[str, Any]) -> tuple[str, float]:
    """Return the short name and the value of the validation figure in a run record."""
    for key, name in (("validation_macro_average_precision", "macro AP"), ("validation_macro_f1", "macro F1")):
        if run.get(key) is not None:
            return name, float(run[key])
    return "macro AP", 0.0


def _validation_metrics(predicted: Any, config: Config) -> dict[str, float]:
    logits, truth, labels = np.asarray(predicted.predictions, dtype=np.float64), predicted.label_ids.astype(int), config.label_names
    if config.choices:
        return choice_figures(likeliest(logits, config.choices), truth, labels, config.choices)
    return {"macro_average_precision": average_precision_of(logits, truth, labels)["macro_average_precision"]}


def _separator(config: Config, tokenizer: Any, model: Any) -> int | None:
    return type_separator(tokenizer, model) if config.pairs else None


def _truncated(tokenizer: Any, split: LabelledSentences, config: Config) -> int:
    encoded = encode(tokenizer, split.inputs)["input_ids"]
    return sum(len(ids) > config.model.max_length for ids in encoded)


def _write_model(folder: Path, model: Any, tokenizer: Any, config: Config) -> None:
    model = model.to("cpu", dtype=torch.float16 if config.train.save_dtype == "fp16" else torch.float32)
    tokenizer.model_max_length = config.model.max_length
    separator = _separator(config, tokenizer, model)
    if separator is not None:
        # Plain transformers then passes the types of tokens on to the model, too.
        tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder, max_shard_size=_SHARD_SIZE)
    tokenizer.save_pretrained(folder)
    pairs: dict[str, Any] = {"pairs": config.pairs, "type_separator": separator}
    write_json(folder / TEXT_FILE, ServingText(max_length=config.model.max_length, text=config.text, **pairs).model_dump())


def _decide(folder: Path, validation: LabelledSentences, config: Config) -> Decision:
    """Choose thresholds from the scores of the model as it was saved and as jobs will load it."""
    labels = config.label_names
    neutral = Decision(
        labels=labels,
        choices=config.choices,
        calibration={label: {} for label in labels},  # type: ignore[misc]
        thresholds={} if config.choices else dict.fromkeys(labels, 0.5),
    )
    write_json(folder / DECISION_FILE, neutral.model_dump())
    logits = Predictor(folder, batch_tokens=config.label.batch_tokens).logits(validation.inputs)
    if config.choices:
        decision = choose_temperatures(logits, validation.truth, validation.articles, config.choices, config.decision)
    else:
        decision = choose_decision(logits, validation.truth, validation.articles, labels, config.decision, config.train.seed)
    write_json(folder / DECISION_FILE, decision.model_dump())
    return decision
