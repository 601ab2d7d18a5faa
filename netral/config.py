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
from netral.labels import LABELS

EMBEDDED = "embedded"
ReadField = Literal["text", "title", "url", "date", "author", "category", "outlet", "crawled_at"]
Fraction = Annotated[float, Field(ge=0, le=1)]


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


class PrepareSettings(_Section):
    """How labelled sentences become a partitioned data set."""

    gold: str | None = None
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


class ModelSettings(_Section):
    """Which encoder is fine-tuned and how long its input may be."""

    encoder: str = EMBEDDED
    revision: str | None = None
    max_length: int = Field(default=192, ge=8)
    layers: int | None = Field(default=None, ge=1)
    pooling: Literal["cls", "mean"] = "cls"
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
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    save_dtype: Literal["fp32", "fp16"] = "fp32"
    freeze_embeddings: bool = False
    seed: int = 13


class DecisionSettings(_Section):
    """How logits become probabilities and labels."""

    calibration: Literal["platt", "none"] = "platt"
    no_label_share: float | None = Field(default=0.8, gt=0, lt=1)
    bootstrap_samples: int = Field(default=500, ge=1)


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


class RaySettings(_Section):
    """What `--engine ray` asks a cluster for; batches are those of ``label``. None of these changes a row of the output."""

    address: str | None = None
    concurrency: int = Field(default=1, ge=1)
    num_cpus: float = Field(default=1.0, gt=0)
    num_gpus: float = Field(default=0.0, ge=0)


class Config(_Section):
    """Everything that can be set, with its default."""

    labels: list[str] = Field(default=list(LABELS), min_length=1)
    text: TextSettings = TextSettings()
    read: ReadSettings = ReadSettings()
    prepare: PrepareSettings = PrepareSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    decision: DecisionSettings = DecisionSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    label: LabelSettings = LabelSettings()
    dedup: DedupSettings = DedupSettings()
    ray: RaySettings = RaySettings()

    @model_validator(mode="after")
    def _labels_differ(self) -> "Config":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from each other")
        return self


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
    return _merge(_read(parent, (*chain, path.resolve())), data)


def _resolve_paths(data: dict[str, Any], folder: Path) -> None:
    prepare, model = data.get("prepare"), data.get("model")
    if isinstance(prepare, dict) and isinstance(prepare.get("gold"), str):
        prepare["gold"] = str((folder / prepare["gold"]).resolve())
    # A name of a model hub such as indobenchmark/indobert-base-p2 is no path: only ./ and ../ are.
    if isinstance(model, dict) and isinstance(model.get("encoder"), str) and model["encoder"].startswith("."):
        model["encoder"] = str((folder / model["encoder"]).resolve())


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in over.items():
        out[key] = _merge(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def _override(data: dict[str, Any], item: str) -> None:
    key, equals, value = item.partition("=")
    if not equals or not key:
        raise NetralError(f"--set {item}: not of the form section.key=value", "for example --set train.epochs=3")
    *sections, last = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise NetralError(f"--set {item}: {section} is no section", "see `netral config show`")
    data[last] = parse_yaml(value, f"--set {item}")


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
