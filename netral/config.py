"""The one configuration schema of all stages.

A YAML file holds only what differs from the defaults below (configs/base.yaml lists them all with their reasons).
``extends: other.yaml`` builds on another file. Unknown keys are refused with the nearest known name.
"""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from netral.errors import NetralError
from netral.labels import LABELS, label_names

EMBEDDED = "embedded"
ReadField = Literal["text", "title", "url", "date", "author", "category", "outlet", "crawled_at", "sentence", "sentence_2"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextSettings(_Section):
    """How articles become sentences. Stored in the model folder, so that serving cannot drift from training."""

    disabled_rules: list[str] = []


class ReadSettings(_Section):
    """What is read: bounds, the language, and where records of other makers keep their fields."""

    max_record_bytes: int = Field(default=10_000_000, gt=0)
    max_sentence_chars: int = Field(default=100_000, gt=0)
    language: Literal["id", "any"] = "id"
    columns: dict[ReadField, str] = {}
    header: list[str] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _columns_differ(self) -> "ReadSettings":
        if self.header and len(set(self.header)) != len(self.header):
            raise ValueError("header: the columns must differ from each other")
        return self


class PrepareSettings(_Section):
    """How labelled sentences become a partitioned data set."""

    gold: str | list[str] | None = None
    label_field: str = "label"
    splits: dict[Literal["train", "validation", "test"], str] = {}
    train_only: str | None = None
    train: Fraction = 0.6
    validation: Fraction = 0.15
    test: Fraction = 0.25
    near_duplicate: Fraction = 0.6
    seed: int = 13

    @model_validator(mode="after")
    def _fractions_add_up(self) -> "PrepareSettings":
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError("train, validation and test must add up to 1")
        return self

    @property
    def gold_files(self) -> list[Path]:
        """The label files in order, those of a folder by name: where two label the same sentence, the later counts."""
        named = [Path(name) for name in ([self.gold] if isinstance(self.gold, str) else self.gold or []) if name]
        return [file for path in named for file in (sorted(path.glob("*.jsonl")) if path.is_dir() else [path])]


class ModelSettings(_Section):
    """Which encoder is fine-tuned and how long its input may be."""

    encoder: str = EMBEDDED
    revision: str | None = None
    max_length: int = Field(default=192, ge=8)
    layers: int | None = Field(default=None, ge=1)
    pooling: Literal["cls", "mean"] = "cls"
    lexical: bool = False
    dropout: Fraction = 0.1


class TrainSettings(_Section):
    """How the model is fitted."""

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=16, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=5e-5, gt=0)
    head_learning_rate: float | None = Field(default=None, gt=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    warmup: Fraction = 0.1
    weight_decay: float = Field(default=0.01, ge=0)
    pos_weight: Literal["none", "sqrt", "balanced"] = "sqrt"
    max_pos_weight: float = Field(default=10.0, ge=1)
    early_stopping_patience: int | None = Field(default=3, ge=1)
    precision: Precision = "auto"
    compile: bool = False
    save_dtype: Literal["fp32", "fp16"] = "fp32"
    freeze_embeddings: bool = False
    seed: int = 13


class PretrainSettings(_Section):
    """How an encoder's masked-language-model pre-training goes on."""

    length: int = Field(default=128, ge=8)
    steps: int = Field(default=10_000, ge=1)
    head_steps: int = Field(default=500, ge=0)
    batch_size: int = Field(default=32, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    warmup: Fraction = 0.06
    weight_decay: float = Field(default=0.01, ge=0)
    dropout: Fraction = 0.0
    mask_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    whole_words: bool = True
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.01
    held_out_sequences: int = Field(default=512, ge=1)
    checkpoint_every: int = Field(default=500, ge=1)
    precision: Precision = "auto"
    compile: bool = False
    save_dtype: Literal["fp32", "fp16"] = "fp32"
    seed: int = 13

    @model_validator(mode="after")
    def _head_comes_first(self) -> "PretrainSettings":
        if self.head_steps >= self.steps:
            raise ValueError("head_steps must be fewer than steps")
        return self


class DistillSettings(_Section):
    """Which unlabelled sentences a student learns from, and how its teachers' answers are joined."""

    pool: int = Field(default=50_000, ge=1)
    sentences: int = Field(default=20_000, ge=1)
    focus: Fraction = 0.5
    focus_from: Fraction = 0.1
    average: Literal["probabilities", "logits"] = "probabilities"
    gold_weight: float = Field(default=1.0, gt=0)
    seed: int = 13


class DecisionSettings(_Section):
    """How logits become probabilities and labels."""

    folds: int = Field(default=0, ge=0)
    calibration: Literal["platt", "none"] = "platt"
    no_label_share: float | None = Field(default=0.8, gt=0, lt=1)
    bootstrap_samples: int = Field(default=500, ge=1)

    @model_validator(mode="after")
    def _folds_are_several(self) -> "DecisionSettings":
        if self.folds == 1:
            raise ValueError("folds must be 0 or at least 2")
        return self


class EvaluateSettings(_Section):
    """How figures are computed."""

    bootstrap_samples: int = Field(default=2000, ge=10)
    slices: list[str] = ["outlet", "year", "part", "length", "citation", "similarity", "topic", "noise"]
    confidence: float = Field(default=0.95, gt=0, lt=1)
    seed: int = 13


class LabelSettings(_Section):
    """How inference cuts and batches its work. None of these changes a row of the output."""

    batch_tokens: int = Field(default=1024, ge=1)
    window: int = Field(default=4096, ge=1)
    shard_bytes: int = Field(default=4_000_000, ge=1)


class DedupSettings(_Section):
    """Which articles count as near-duplicates of each other."""

    containment: Annotated[float, Field(gt=0, le=1)] = 0.55


class Range(_Section):
    """Numbers to search through; whole numbers where both ends are."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and above 0 with log: true")
        return self


_SPACE: dict[str, Range | list[int | float | str | bool | None]] = {
    "train.learning_rate": Range(low=2e-5, high=3e-4, log=True),
    "train.layer_decay": Range(low=0.8, high=1.0),
    "train.epochs": Range(low=4, high=12),
    "train.batch_size": [8, 16, 32],
    "train.pos_weight": ["none", "sqrt", "balanced"],
}


class SearchSettings(_Section):
    """What `netral search` tries, and what it judges by. It never reads the test split."""

    scored_on: Literal["folds", "validation"] = "folds"
    folds: int = Field(default=3, ge=2)
    seed: int = 13
    space: dict[str, Range | list[int | float | str | bool | None]] = Field(default=_SPACE, min_length=1)

    @model_validator(mode="after")
    def _known(self) -> "SearchSettings":
        known = [f"{name}.{key}" for name, model in (("model", ModelSettings), ("train", TrainSettings)) for key in model.model_fields]
        for key, values in self.space.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                raise ValueError(f"space: {key} is no setting of model or train; did you mean {near}?")
            if isinstance(values, list) and not values:
                raise ValueError(f"space: {key} names no value")
        return self


class AnnotateSettings(_Section):
    """What is given to annotators, and how many sentences around it they see."""

    random: Fraction = 0.3
    uncertainty: Fraction = 0.3
    disagreement: Fraction = 0.2
    diversity: Fraction = 0.2
    context: int = Field(default=2, ge=0)
    folds: int = Field(default=5, ge=2)
    seed: int = 13

    @model_validator(mode="after")
    def _shares_add_up(self) -> "AnnotateSettings":
        if abs(self.random + self.uncertainty + self.disagreement + self.diversity - 1) > 1e-6:
            raise ValueError("random, uncertainty, disagreement and diversity must add up to 1")
        return self


class RaySettings(_Section):
    """What `--engine ray` asks a cluster for; batches are those of ``label``. None of these changes a row of the output."""

    address: str | None = None
    concurrency: int = Field(default=1, ge=1)
    num_cpus: float = Field(default=1.0, gt=0)
    num_gpus: float = Field(default=0.0, ge=0)


class Config(_Section):
    """Everything that can be set, with its default."""

    labels: list[str] | dict[str, list[str]] = Field(default=list(LABELS), min_length=1)
    task: Literal["multi_label", "single_label"] = "multi_label"
    pairs: bool = False
    text: TextSettings = TextSettings()
    read: ReadSettings = ReadSettings()
    prepare: PrepareSettings = PrepareSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    pretrain: PretrainSettings = PretrainSettings()
    distill: DistillSettings = DistillSettings()
    decision: DecisionSettings = DecisionSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    label: LabelSettings = LabelSettings()
    dedup: DedupSettings = DedupSettings()
    search: SearchSettings = SearchSettings()
    annotate: AnnotateSettings = AnnotateSettings()
    ray: RaySettings = RaySettings()

    @model_validator(mode="after")
    def _labels_differ(self) -> "Config":
        if len(set(self.label_names)) != len(self.label_names):
            raise ValueError("labels must differ from each other")
        if isinstance(self.labels, dict) and self.task != "single_label":
            raise ValueError("labels: a mapping of aspects to values needs task: single_label (one value of each aspect)")
        if any(len(choice) < 2 for choice in self.choices.values()):
            raise ValueError("labels: task: single_label needs at least two to choose from")
        if self.model.lexical and (self.choices or self.pairs):
            raise ValueError("model.lexical: true is for labels that do not exclude each other, of single sentences")
        return self

    @property
    def label_names(self) -> list[str]:
        """The name of each output of the model, in order."""
        return label_names(self.labels)

    @property
    def choices(self) -> dict[str, list[str]]:
        """The outputs of which exactly one holds, by aspect (named "" where there are none); empty for multi-label."""
        if self.task == "multi_label":
            return {}
        if isinstance(self.labels, dict):
            return {aspect: label_names({aspect: values}) for aspect, values in self.labels.items()}
        return {"": list(self.labels)}


class _StrictLoader(yaml.SafeLoader):
    """YAML without its surprises: `no` stays a string, `2e-5` is a number, a key twice is an error."""


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$"), list("-+0123456789"))


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is not text", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML strictly.

    Raises:
        NetralError: The text is not YAML, or a key stands twice; the message names the line.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise NetralError(
            f"{where}:{line} {getattr(error, 'problem', None) or error}", "correct the YAML and run `netral config check` on it"
        ) from None


def load_config(path: str | Path | None = None, overrides: list[str] | None = None) -> Config:
    """Read a configuration file and apply ``a.b=c`` overrides.

    Relative paths in the file (``prepare.gold``, an encoder that is a folder) are taken from the file's own folder.

    Raises:
        NetralError: The file is missing or not YAML, a key is unknown, or a value has the wrong type.
    """
    data = _read(Path(path), ()) if path else {}
    for item in overrides or []:
        _override(data, item)
    where = str(path) if path else "--set" if overrides else "the defaults"
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise NetralError(
            "\n".join(f"{where}: {line}" for line in _explain(error)), "see `netral config show` for every key and its default"
        ) from None


def _read(path: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise NetralError(f"{path}: cannot be read ({reason})", "pass a YAML file with -c, for example configs/recipes/mini.yaml") from None
    data = parse_yaml(text, str(path))
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise NetralError(f"{path}: holds no settings but {type(data).__name__}", "write `section:` and `key: value` lines")
    base = data.pop("extends", None)
    _resolve_paths(data, path.parent)
    if base is None:
        return data
    parent = (path.parent / str(base)).resolve()
    if parent in chain or parent == path.resolve():
        raise NetralError(f"{path}: extends itself through {base}", "remove one of the `extends` lines")
    return merge_settings(_read(parent, (*chain, path.resolve())), data)


def _resolve_paths(data: dict[str, Any], folder: Path) -> None:
    prepare, model = data.get("prepare"), data.get("model")
    if isinstance(prepare, dict):
        gold = prepare.get("gold")
        if isinstance(gold, str):
            prepare["gold"] = str((folder / gold).resolve())
        elif isinstance(gold, list):
            prepare["gold"] = [str((folder / each).resolve()) if isinstance(each, str) else each for each in gold]
    # A name of a model hub such as indobenchmark/indobert-base-p2 is no path: only ./ and ../ are.
    if isinstance(model, dict) and isinstance(model.get("encoder"), str) and model["encoder"].startswith("."):
        model["encoder"] = str((folder / model["encoder"]).resolve())


# Mappings that a file states as a whole: with keys of the file that it extends they would be another label set or search space.
_WHOLE = ("labels", "space", "splits")


def merge_settings(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of ``base`` with those of ``over`` in their place."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict) and key not in _WHOLE
        out[key] = merge_settings(out[key], value) if both else value
    return out


def parse_override(item: str) -> tuple[str, Any]:
    """Split ``section.key=value`` into key and value.

    Raises:
        NetralError: It is not of that form, or the value is not YAML.

    >>> parse_override("train.epochs=3")
    ('train.epochs', 3)
    """
    key, equals, value = item.partition("=")
    if not equals or not key:
        raise NetralError(f"--set {item}: not of the form section.key=value", "for example --set train.epochs=3")
    return key, parse_yaml(value, f"--set {item}")


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Return dotted keys as sections.

    >>> nested({"train.epochs": 3, "train.seed": 1, "task": "multi_label"})
    {'train': {'epochs': 3, 'seed': 1}, 'task': 'multi_label'}
    """
    out: dict[str, Any] = {}
    for key, value in settings.items():
        *sections, last = key.split(".")
        inner = out
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return out


def _override(data: dict[str, Any], item: str) -> None:
    key, value = parse_override(item)
    *sections, last = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise NetralError(f"--set {item}: {section} is no section", "see `netral config show`")
    data[last] = value


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        loc = [str(part) for part in problem["loc"]]
        key = ".".join(loc)
        if problem["type"] == "extra_forbidden":
            known = _known_keys(loc[:-1])
            near = difflib.get_close_matches(loc[-1], known, n=1, cutoff=0.0)
            lines.append(f"unknown key {key}" + (f"; did you mean {'.'.join([*loc[:-1], near[0]])}?" if near else ""))
        else:
            message = problem["msg"].removeprefix("Value error, ")
            value = "" if isinstance(problem["input"], dict) else f" (got {problem['input']!r})"
            lines.append(f"{key or 'settings'}: {message}{value}")
    return lines


def _known_keys(sections: list[str]) -> list[str]:
    model: Any = Config
    for section in sections:
        field = model.model_fields.get(section)
        model = field.annotation if field else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return list(model.model_fields)
