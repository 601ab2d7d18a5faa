"""The parity gate: what an export in another program or precision may change, and the record of what it did change."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from netral.model_folder import ModelFolder
from netral.provenance import file_digest

EXPORTS = "exports"
PARITY_FILE = "parity.json"
# A label decision is one label of one sentence. F1 in points of 100.
MAX_FLIPPED_SHARE = 0.01
MAX_F1_LOSS = 0.5
# Where more sentences than this lie so close to a threshold that fp32 must decide, a reduced precision spares too little.
MAX_SETTLED_SHARE = 0.25


class Flip(BaseModel):
    """One label decision that the export takes otherwise than torch in fp32."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    sentence_id: str
    sentence: str
    label: str
    before: float
    after: float
    threshold: float | None


class Parity(BaseModel):
    """What the gate measured, stored as parity.json beside the export.

    Attributes:
        variant: Backend and precision, as ``onnx-int8``.
        model: Fingerprint of the model folder that was exported.
        data: The file of labelled sentences.
        sentences: How many sentences were compared.
        band: Sentences whose calibrated logit lies this close to a threshold are computed again in fp32; 0 for fp32.
        settled: How many of the compared sentences that were.
        flipped_share: Share of label decisions that differ.
        f1: Per label, F1 in points of 100 before and after; None where the split has no example of the label.
        largest_probability_difference: Over all sentences and labels.
        flips: The decisions that differ.
        files: SHA-256 of the export's files.
        recipe: How the export was made.
        libraries: Versions it was made with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    variant: str
    model: str
    data: str
    sentences: int
    band: float
    settled: int
    flipped_share: float
    f1: dict[str, tuple[float, float] | None]
    largest_probability_difference: float
    flips: list[Flip]
    files: dict[str, str]
    recipe: dict[str, Any]
    libraries: dict[str, str]

    @property
    def problems(self) -> list[str]:
        """What the gate objects to; empty when the export may be used."""
        found = []
        if self.flipped_share > MAX_FLIPPED_SHARE:
            found.append(f"{self.flipped_share:.2%} of the label decisions flip; the bound is {MAX_FLIPPED_SHARE:.0%}")
        if self.settled > MAX_SETTLED_SHARE * self.sentences:
            found.append(f"{self.settled} of {self.sentences} sentences need fp32, which leaves nothing to gain")
        for label, pair in self.f1.items():
            if pair and pair[0] - pair[1] > MAX_F1_LOSS:
                found.append(f"{label}: F1 falls from {pair[0]:.1f} to {pair[1]:.1f}; the bound is {MAX_F1_LOSS} points")
        return found

    @property
    def passed(self) -> bool:
        """Tell whether the export may be used."""
        return not self.problems


def f1_points(given: np.ndarray, truth: np.ndarray) -> float:
    """Return F1 of two boolean arrays in points of 100; 0 when neither holds a True."""
    both = int((given & truth).sum())
    total = int(given.sum() + truth.sum())
    return 200 * both / total if total else 0.0


def f1_pairs(before: np.ndarray, after: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> dict[str, tuple[float, float] | None]:
    """Return each label's F1 before and after, from boolean arrays of shape (sentences, labels)."""
    pairs: dict[str, tuple[float, float] | None] = {}
    for k, label in enumerate(labels):
        seen = bool(truth[:, k].any())
        pairs[label] = (round(f1_points(before[:, k], truth[:, k]), 2), round(f1_points(after[:, k], truth[:, k]), 2)) if seen else None
    return pairs


def read_parity(folder: ModelFolder, variant: str, *, digests: bool = True) -> Parity | None:
    """Read the record of an export; None if there is none, it is damaged, or it belongs to other weights or files.

    ``digests=False`` spares reading the files of an export that was looked at before.
    """
    export = folder.path / EXPORTS / variant
    try:
        parity = Parity.model_validate_json((export / PARITY_FILE).read_bytes())
        fits = parity.model == folder.fingerprint and parity.variant == variant
        whole = not digests or all(
            name == (export / name).name and file_digest(export / name) == digest for name, digest in parity.files.items()
        )
    except (OSError, ValidationError):
        return None
    return parity if fits and whole else None
