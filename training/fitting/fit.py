"""Fine-tunes an encoder and writes a model folder."""

import json
import shutil
import time
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import DataCollatorWithPadding, EarlyStoppingCallback, TrainerCallback, set_seed

from inference.batching import make_batches
from inference.lexical import Lexical
from inference.predictor import Predictor
from inference.tokenise import Text
from netral.config import Config, TrainSettings
from netral.io.paths import refuse_existing, replacing_folder
from netral.model_folder import DECISION_FILE, TEXT_FILE, Decision, ServingText
from netral.progress import Progress
from netral.provenance import RUN_FILE, file_digest, fingerprint, folder_digest, is_current, libraries, write_json
from netral.text import model_text
from training.data.choices import Choices, choice_figures, choice_loss, choose_temperatures, class_weights, likeliest
from training.data.dataset import LabelledSentences, load_split
from training.evaluation.metrics import average_precision_of
from training.fitting.decision import choose_decision
from training.fitting.encoder import encode, encoder_source, load_classifier, load_tokenizer, type_separator
from training.fitting.folds import FoldScores, out_of_fold, scores_file, write_scores
from training.fitting.lexical import fit_lexical
from training.fitting.trainer import BaseTrainer, ProgressCallback, choose_precision, resume_point, training_arguments
from training.release.card import write_card

# Git hosts and hubs refuse or warn about larger files.
SHARD_SIZE = "45MB"
# Enough for a mean and a variance; distillation brings tens of thousands.
_STANDARDISED_ON = 4096


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
    _load(config, data)  # says what is missing before anything is written
    resume_from = resume_point(checkpoints_of(out), wanted, resume, overwrite)
    inputs = {split: file_digest(data / f"{split}.parquet") for split in ("train", "validation")}
    return fit(config, data, out, {"stage": "train", "fingerprint": wanted, "inputs": inputs}, resume_from)


def _load(config: Config, data: Path) -> tuple[LabelledSentences, LabelledSentences]:
    task: dict[str, Any] = {"labels": config.label_names, "choices": config.choices, "pairs": config.pairs}
    return load_split(data, "train", **task), load_split(data, "validation", **task)


def checkpoints_of(out: Path) -> Path:
    """Return the folder beside an output that holds what an interrupted run goes on from."""
    return out.with_name(out.name + ".checkpoints")


def fit(config: Config, data: Path, out: Path, record: dict[str, Any], resume_from: str | None) -> dict[str, Any]:
    """Train on the data, choose thresholds and write the model folder; ``record`` opens its run record.

    The trained model waits among the checkpoints while out-of-fold scores are made, so that a stop there costs one fold.
    """
    train_split, validation = _load(config, data)
    checkpoints = checkpoints_of(out)
    trained = checkpoints / "trained"
    if not (trained / RUN_FILE).is_file():
        shutil.rmtree(trained, ignore_errors=True)
        trained.mkdir()
        figures = _train(config, train_split, validation, checkpoints, resume_from, trained)
        # Where the label files lie on this machine is nobody else's business.
        figures["settings"]["prepare"]["gold"] = [path.name for path in config.prepare.gold_files]
        write_json(trained / RUN_FILE, {**record, **figures})
    run: dict[str, Any] = json.loads((trained / RUN_FILE).read_text(encoding="utf-8"))
    if config.decision.folds:
        scores = out_of_fold(config, train_split, validation, checkpoints, partial(fold_logits, config, epochs=run["best_epoch"]))
    else:
        found = _with_words(_saved_logits(trained, validation.inputs, config), train_split, validation, config)
        count = len(config.label_names)
        scores = FoldScores(validation, found[:, :count], found[:, count:] if config.model.lexical else None)
    decision = _decide(scores, config)
    if config.decision.folds:
        write_scores(scores_file(out), scores, decision, run["fingerprint"])
    with replacing_folder(out) as folder:
        shutil.copytree(trained, folder, dirs_exist_ok=True)
        if decision.uses_words:
            _lexical_of(train_split).save(folder)
        write_json(folder / DECISION_FILE, decision.model_dump())
        run["decision"] = decision.model_dump()
        write_card(folder, run)
        run["files"] = sorted(path.name for path in folder.iterdir() if path.name != RUN_FILE)
        write_json(folder / RUN_FILE, run)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return run


def _train(
    config: Config,
    train_split: LabelledSentences,
    validation: LabelledSentences,
    checkpoints: Path,
    resume_from: str | None,
    folder: Path,
) -> dict[str, Any]:
    """Train as configured, save the best model without thresholds in a folder, and return what the run record says of it."""
    trainer, tokenizer = new_trainer(config, train_split, validation, checkpoints)
    begun = time.monotonic()
    with Progress("train", "steps") as progress:
        trainer.add_callback(ProgressCallback(progress, _describe))
        trainer.train(resume_from_checkpoint=resume_from)
    seconds = time.monotonic() - begun
    best = Path(trainer.state.best_model_checkpoint or "").name or None
    parameters = sum(p.numel() for p in trainer.model.parameters())
    _write_model(folder, trainer.model, tokenizer, config)
    return {
        "settings": config.model_dump(),
        "encoder": {"source": config.model.encoder, "local": Path(config.model.encoder).is_dir(), "parameters": parameters},
        "counts": {
            "train": len(train_split),
            "validation": len(validation),
            "positives": dict(zip(config.label_names, train_split.truth.sum(0).tolist(), strict=True)),
            "truncated": {"train": _truncated(tokenizer, train_split, config), "validation": _truncated(tokenizer, validation, config)},
        },
        "best_checkpoint": best,
        "best_epoch": round(int(best.rpartition("-")[2]) * trainer.state.epoch / trainer.state.global_step)
        if best
        else config.train.epochs,
        f"validation_{best_figure(config)}": trainer.state.best_metric,
        "epochs_run": trainer.state.epoch,
        "seconds": round(seconds, 1),
        "device": str(trainer.args.device),
        "precision": choose_precision(config.train.precision),
        "resumed": resume_from is not None,
        "libraries": libraries(),
    }


def fold_logits(config: Config, rows: LabelledSentences, held: LabelledSentences, folder: Path, epochs: int) -> np.ndarray:
    """Train on some rows, with the schedule of the whole training but only so many epochs of it, and score the held-out ones.

    The number of epochs is the one that the final model did best with, not one chosen on the rows that are scored.
    """
    trainer, tokenizer = new_trainer(config, rows, None, folder / "unused")
    trainer.add_callback(_StopAfter(epochs))
    with Progress("fold", "steps") as progress:
        trainer.add_callback(ProgressCallback(progress, _describe))
        trainer.train()
    _write_model(folder, trainer.model, tokenizer, config)
    return _with_words(_saved_logits(folder, held.inputs, config), rows, held, config)


def _lexical_of(rows: LabelledSentences) -> Lexical:
    return fit_lexical(rows.sentences, rows.targets, rows.weights)


def _with_words(logits: np.ndarray, rows: LabelledSentences, held: LabelledSentences, config: Config) -> np.ndarray:
    """Append what a model of words fitted on some rows says of the held-out ones, where the configuration asks for one."""
    if not config.model.lexical:
        return logits
    return np.hstack([logits, _lexical_of(rows).scores([model_text(sentence) for sentence in held.sentences])])


def new_trainer(
    config: Config, train_split: LabelledSentences, validation: LabelledSentences | None, checkpoints: Path
) -> tuple["_LabelTrainer", Any]:
    """Return a trainer of the configured model, and its tokenizer; without validation it neither stops early nor keeps checkpoints."""
    tokenizer = load_tokenizer(encoder_source(config), config.model.revision)
    set_seed(config.train.seed)
    model = load_classifier(config, tokenizer)
    if config.model.pooling == "mean":
        standardise_pooled(model, tokenizer, train_split.inputs[:_STANDARDISED_ON], config.model.max_length)
    return _trainer(config, model, tokenizer, train_split, validation, checkpoints), tokenizer


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


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Tokenised sentences with float labels."""

    def __init__(self, split: LabelledSentences, tokenizer: Any, max_length: int, typed: bool = False) -> None:
        """Tokenise all sentences, or pairs with the types of their tokens."""
        self._encoded = encode(tokenizer, split.inputs, max_length)
        self._keys = ("input_ids", "attention_mask", *(["token_type_ids"] if typed else []))
        self._targets, self._weights = split.targets.astype(np.float32), split.weights.astype(np.float32)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = {key: self._encoded[key][index] for key in self._keys}
        return {**row, "labels": self._targets[index], "weights": self._weights[index]}


class _LabelTrainer(BaseTrainer):
    """Fits labels that do not exclude each other, hard or soft, or choices of which one holds each."""

    def __init__(self, *, settings: TrainSettings, pos_weight: torch.Tensor, choices: Choices, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings, self._pos_weight, self._choices = settings, pos_weight, choices

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **kwargs: Any) -> Any:
        targets, weights = inputs.pop("labels"), inputs.pop("weights")
        outputs = model(**inputs)
        logits, weight = outputs.logits.float(), self._pos_weight.to(targets.device)
        if self._choices:
            loss = choice_loss(logits, targets, self._choices, weight, weights)
        else:
            loss = multilabel_loss(logits, targets, weights, weight)
        return (loss, outputs) if return_outputs else loss


def multilabel_loss(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, pos_weight: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross-entropy of labels that do not exclude each other, with hard or soft targets.

    Args:
        logits: Shape (sentences, labels).
        targets: Probabilities that the labels hold, 0 or 1 where a person said so; the same shape.
        weights: How much each sentence counts. They are not normalised: half the weight is half the gradient.
        pos_weight: How much more the positive part of each label counts.
    """
    loss = binary_cross_entropy_with_logits(logits, targets, pos_weight=pos_weight, reduction="none")
    return (loss.mean(dim=1) * weights).mean()


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


def _trainer(
    config: Config, model: Any, tokenizer: Any, train_split: LabelledSentences, validation: LabelledSentences | None, checkpoints: Path
) -> _LabelTrainer:
    settings = config.train
    if settings.freeze_embeddings:
        for parameter in model.base_model.embeddings.parameters():
            parameter.requires_grad = False
    args = training_arguments(
        checkpoints,
        precision=settings.precision,
        compiled=settings.compile,
        model=model,
        seed=settings.seed,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        eval_strategy="epoch" if validation else "no",
        save_strategy="epoch" if validation else "no",
        load_best_model_at_end=validation is not None,
        metric_for_best_model=best_figure(config),
        greater_is_better=True,
        train_sampling_strategy="group_by_length",
    )
    choices, typed = config.choices, _separator(config, tokenizer, model) is not None
    trainer = _LabelTrainer(
        settings=settings,
        groups=parameter_groups(model, settings),
        pos_weight=class_weights(train_split.truth, choices, settings)
        if choices
        else positive_weights(train_split.targets, settings, train_split.weights),
        choices=choices,
        model=model,
        args=args,
        train_dataset=Rows(train_split, tokenizer, config.model.max_length, typed),
        eval_dataset=Rows(validation, tokenizer, config.model.max_length, typed) if validation else None,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda p: _validation_metrics(p, config),
    )
    if validation and settings.early_stopping_patience is not None:
        trainer.add_callback(EarlyStoppingCallback(settings.early_stopping_patience))
    return trainer


class _StopAfter(TrainerCallback):  # type: ignore[misc]
    """Ends training after some epochs of a longer schedule."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = control.should_training_stop or round(state.epoch) >= self._epochs


def _describe(state: Any, metrics: dict[str, float]) -> str:
    figure = next((name for name in metrics if name.startswith("eval_macro_")), "eval_loss")
    return (
        f"epoch {state.epoch:.0f} of {state.num_train_epochs:.0f}: validation loss {metrics.get('eval_loss', 0):.4f}, "
        f"{figure.removeprefix('eval_').replace('_', ' ')} {metrics.get(figure, 0):.4f}"
    )


def positive_weights(targets: np.ndarray, settings: TrainSettings, weights: np.ndarray | None = None) -> torch.Tensor:
    """Return the weight of a positive per label: 1, negatives over positives, or the square root of that, bounded.

    The root is the default: the full ratio makes rare labels overconfident, which calibration then has to undo.
    """
    weights = np.ones(len(targets)) if weights is None else weights
    positives = np.maximum(weights @ targets, 1)
    ratio = (weights.sum() - positives) / positives
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
    model.save_pretrained(folder, max_shard_size=SHARD_SIZE)
    tokenizer.save_pretrained(folder)
    pairs: dict[str, Any] = {"pairs": config.pairs, "type_separator": separator}
    write_json(folder / TEXT_FILE, ServingText(max_length=config.model.max_length, text=config.text, **pairs).model_dump())
    labels = config.label_names
    neutral = Decision(
        labels=labels,
        choices=config.choices,
        calibration={label: {} for label in labels},  # type: ignore[misc]
        thresholds={} if config.choices else dict.fromkeys(labels, 0.5),
    )
    write_json(folder / DECISION_FILE, neutral.model_dump())


def _saved_logits(folder: Path, sentences: Sequence[Text], config: Config) -> np.ndarray:
    """Score with the model as it was saved and as jobs will load it."""
    with Predictor(folder, batch_tokens=config.label.batch_tokens) as predictor:
        return np.asarray(predictor.logits(sentences))


def _decide(scores: FoldScores, config: Config) -> Decision:
    """Choose calibration and thresholds on scores of sentences that were not trained on."""
    rows = scores.rows
    if config.choices:
        return choose_temperatures(scores.logits, rows.truth, rows.articles, config.choices, config.decision, scores.chosen_on)
    return choose_decision(
        scores.logits, rows.truth, rows.articles, config.label_names, config.decision, config.train.seed, scores.chosen_on, scores.words
    )
