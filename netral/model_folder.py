"""What a model folder holds, checked before any weights are loaded."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from netral.config import TextSettings
from netral.errors import NetralError
from netral.provenance import file_digest, folder_digest

DECISION_FILE = "decision.json"
TEXT_FILE = "text.json"
LEXICAL_FILE = "lexical.safetensors"
_NEEDED = ("config.json", "tokenizer.json", DECISION_FILE, TEXT_FILE)
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
# What decides a score. The card and run.json may change without making another model of it.
_FINGERPRINTED = ("*.safetensors", "*.safetensors.index.json", *_NEEDED)
_Model = TypeVar("_Model", bound=BaseModel)


class Calibration(BaseModel):
    """Platt scaling of one label: probability = sigmoid(slope * (logit + lexical * words) + offset).

    ``words`` is what the linear model of words says, where the folder holds one (inference/lexical.py). In a choice all labels share one
    slope, the inverse of the temperature, and the probability is the softmax.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    slope: float = 1.0
    offset: float = 0.0
    lexical: float = 0.0

    @model_serializer(mode="wrap")
    def _lean(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_defaults(serialise(self), {"lexical": 0.0})


class Decision(BaseModel):
    """How the logits of a model become probabilities and labels.

    Attributes:
        labels: Label names in the order of the model's outputs.
        choices: Labels of which exactly one is given, the likeliest by the softmax over them; by aspect, "" where there are none. Empty
            for multi-label, and left out of the file.
        calibration: Platt scaling per label.
        thresholds: A label is given when its calibrated probability, rounded to three decimals, reaches this. Empty for choices.
        review: Per label, the lowest and highest score between which a person should look; labels without one are left out. Where no
            label has one, left out of the file.
        chosen_on: The split, number of sentences and positives that the values were chosen on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1
    labels: list[str]
    choices: dict[str, list[str]] = {}
    calibration: dict[str, Calibration]
    thresholds: dict[str, float]
    review: dict[str, tuple[float, float]] = {}
    chosen_on: dict[str, Any] = {}

    @model_validator(mode="after")
    def _complete(self) -> "Decision":
        for name, values in (("calibration", self.calibration), ("thresholds", self.thresholds)):
            wanted = set() if self.choices and name == "thresholds" else set(self.labels)
            if set(values) != wanted:
                raise ValueError(f"{name} must hold exactly the labels {', '.join(self.labels)}" if wanted else f"{name} must be empty")
        if self.choices and [name for choice in self.choices.values() for name in choice] != self.labels:
            raise ValueError("choices must hold each label once, in order")
        if not set(self.review) <= set(self.labels):
            raise ValueError("review must hold no other labels than those of the model")
        return self

    @model_serializer(mode="wrap")
    def _lean(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_defaults(serialise(self), {"choices": {}, "review": {}})

    @property
    def uses_words(self) -> bool:
        """Whether a linear model of words stands beside the encoder."""
        return any(each.lexical for each in self.calibration.values())

    @property
    def problem_type(self) -> str:
        """What transformers calls the task."""
        return "single_label_classification" if len(self.choices) == 1 else "multi_label_classification"


class ServingText(BaseModel):
    """How text is prepared for this model.

    Attributes:
        max_length: Tokens read of a sentence, or of a pair.
        text: Cleaning settings.
        pairs: The model reads pairs of sentences.
        type_separator: Id of the token behind whose first occurrence tokens have type 1, as BERT's tokenizer marks the second sentence of
            a pair; None where all tokens have type 0. Derived from the ids, so that backends take ids and mask alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1
    max_length: int = Field(ge=8)
    text: TextSettings = TextSettings()
    pairs: bool = False
    type_separator: int | None = None

    @model_serializer(mode="wrap")
    def _lean(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_defaults(serialise(self), {"pairs": False, "type_separator": None})


def _without_defaults(data: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was added for other tasks, so that the files of a plain multi-label model stay what they were."""
    return {key: value for key, value in data.items() if key not in defaults or value != defaults[key]}


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A checked model folder.

    Attributes:
        path: The folder.
        decision: Calibration and thresholds.
        serving: Cleaning settings and the number of tokens read.
        pad_id: The id of the padding token.
        fingerprint: 16 hex digits over weights, tokenizer, decision and text settings.
    """

    path: Path
    decision: Decision
    serving: ServingText
    pad_id: int
    fingerprint: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of the model's outputs."""
        return tuple(self.decision.labels)

    def decision_digest(self) -> str:
        """Return 16 hex digits over thresholds and calibration alone."""
        return file_digest(self.path / DECISION_FILE)[:16]


def open_model_folder(path: Path) -> ModelFolder:
    """Check a model folder and read everything but the weights.

    Raises:
        NetralError: The folder is missing, is no netral model, or its parts do not fit together.
    """
    if not path.is_dir():
        raise NetralError(f"{path}: no such model folder", "pass the folder that `netral train --out` wrote, or leave out --model")
    missing = [name for name in _NEEDED if not (path / name).is_file()]
    if missing:
        raise NetralError(
            f"{path}: not a netral model folder, {missing[0]} is missing",
            "pass a folder written by `netral train`; a plain checkpoint goes into `model.encoder` of a recipe and is fine-tuned first",
        )
    config = _json(path / "config.json")
    decision = _parse(Decision, path / DECISION_FILE)
    serving = _parse(ServingText, path / TEXT_FILE)
    _check_labels(path, config, decision)
    if decision.uses_words and not (path / LEXICAL_FILE).is_file():
        raise NetralError(f"{path}: {LEXICAL_FILE} is missing, which {DECISION_FILE} asks for", "copy the whole folder again")
    for weights in (*_weight_files(path), *([path / LEXICAL_FILE] if decision.uses_words else [])):
        _check_safetensors(weights)
    pad_id = config.get("pad_token_id")
    if not isinstance(pad_id, int):
        raise NetralError(f"{path / 'config.json'}: pad_token_id is missing", "train the model again with `netral train`")
    return ModelFolder(path, decision, serving, pad_id, folder_digest(path, _FINGERPRINTED)[:16])


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NetralError(f"{path}: cannot be read as JSON ({error})", "copy the model folder again, or train it again") from None
    if not isinstance(data, dict):
        raise NetralError(f"{path}: a JSON object is expected", "copy the model folder again, or train it again")
    return data


def _parse(model: type[_Model], path: Path) -> _Model:
    try:
        return model.model_validate(_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NetralError(f"{path}: {where} {first['msg']}", "train the model again with this version of netral") from None


def _check_labels(path: Path, config: dict[str, Any], decision: Decision) -> None:
    id2label = config.get("id2label")
    names = [id2label.get(str(i)) for i in range(len(id2label))] if isinstance(id2label, dict) else None
    if names != decision.labels:
        raise NetralError(
            f"{path}: config.json names the labels {names}, {DECISION_FILE} {decision.labels}",
            "the two files come from different models; train again or copy the whole folder",
        )
    if config.get("problem_type") != decision.problem_type:
        raise NetralError(f"{path / 'config.json'}: problem_type is not {decision.problem_type}", "fine-tune it with `netral train`")


def _weight_files(path: Path) -> list[Path]:
    if (path / _WEIGHTS).is_file():
        return [path / _WEIGHTS]
    if not (path / _INDEX).is_file():
        raise NetralError(f"{path}: no {_WEIGHTS}", "only safetensors weights are loaded; train again with `netral train`")
    names = sorted(set(map(str, _json(path / _INDEX).get("weight_map", {}).values())))
    for name in names:
        if Path(name).name != name or not (path / name).is_file():
            raise NetralError(f"{path / _INDEX}: names the weight file {name}, which is not in the folder", "copy the whole folder again")
    return [path / name for name in names]


def _check_safetensors(path: Path) -> None:
    """Check by its header that a weight file is whole, without reading the weights."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(8)
        length = int.from_bytes(head, "little")
        header = stream.read(length) if len(head) == 8 and length <= min(size, 100_000_000) else b""
    try:
        tensors = json.loads(header)
        end = max((entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise NetralError(f"{path}: not a safetensors file", "copy the model folder again (with Git LFS: `git lfs pull`)") from None
    if 8 + length + end != size:
        raise NetralError(f"{path}: {size} bytes where its header announces {8 + length + end}", "the file is cut; copy it again")
