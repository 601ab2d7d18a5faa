"""Teaches a student encoder what trained models say about unlabelled sentences, together with the gold labels."""

import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inference.predictor import Predictor
from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import STDIN, expand_inputs, refuse_existing, replacing_file
from netral.io.readers import read_files
from netral.model_folder import ModelFolder, open_model_folder
from netral.progress import Progress
from netral.provenance import RUN_FILE, file_digest, fingerprint, folder_digest, is_current
from netral.records import Reject, Sentence
from netral.text import TextStage, model_text
from training.data.dataset import SCHEMA, load_split
from training.data.partition import SPLITS
from training.fitting.encoder import encoder_source
from training.fitting.fit import checkpoints_of, fit
from training.fitting.trainer import resume_point

# Sentences of one file of scores: what a stop costs at most while teachers score.
_PART = 2048
_POOL_SCHEMA = pa.schema([("sentence_id", pa.string()), ("sentence", pa.string())])


def distill(
    inputs: Sequence[str],
    teachers: Sequence[Path],
    config: Config,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train the configured encoder on gold labels and on what the teachers say about sentences of a crawl; write a model folder.

    Early stopping, calibration and thresholds are those of `train`, on gold validation. The drawn sentences and the teachers'
    scores are kept in ``<out>.checkpoints`` until the model is written: a restart with ``resume`` does not score again.

    Returns:
        The run record, with ``unchanged`` set if the model was there and up to date.

    Raises:
        NetralError: Nothing to read, a teacher with other labels, no data set, or the output exists.
    """
    if STDIN in inputs:
        raise NetralError("-: distill reads files, not standard input", "save the records as a .jsonl file")
    if config.choices or config.pairs:
        raise NetralError(
            "distill is for labels that do not exclude each other, of single sentences", "set task: multi_label, pairs: false"
        )
    if not teachers:
        raise NetralError("no teacher", "name a model folder with --teacher")
    folders = [_open_teacher(path, config) for path in teachers]
    checkpoints = checkpoints_of(out)
    paths = [path for path in expand_inputs(inputs, exclude=out) if checkpoints.resolve() not in path.resolve().parents]
    load_split(data, "train", config.label_names)  # says what is missing before the digests of a large crawl are taken
    digests = [(path.name, file_digest(path)) for path in (*paths, data / "train.parquet", data / "validation.parquet")]
    prints = [folder.fingerprint for folder in folders]
    wanted = _fingerprint(config, digests, prints)
    if is_current(out / RUN_FILE, wanted):
        return {**json.loads((out / RUN_FILE).read_text(encoding="utf-8")), "unchanged": True}
    refuse_existing(out, overwrite)
    resume_from = resume_point(checkpoints, wanted, resume, overwrite)
    work = checkpoints / "distill"
    counts = _write_data(config, paths, folders, data, work)
    record = {
        "stage": "distill",
        "fingerprint": wanted,
        "inputs": dict(digests),
        "distillation": {"teachers": prints, "counts": counts},
    }
    return fit(config, work, out, record, resume_from)


def _open_teacher(path: Path, config: Config) -> ModelFolder:
    folder = open_model_folder(path)
    if set(folder.labels) != set(config.label_names):
        raise NetralError(f"{path}: its labels are {', '.join(folder.labels)}", f"pass a teacher for {', '.join(config.label_names)}")
    return folder


def _fingerprint(config: Config, digests: list[tuple[str, str]], teachers: list[str]) -> str:
    settings = config.model_dump(include={"labels", "text", "read", "model", "train", "decision", "distill"})
    source, inputs = Path(encoder_source(config)), list(digests)
    if source.is_dir():
        settings["model"]["encoder"] = "folder"
        inputs.append(("encoder", folder_digest(source)))
    return fingerprint("distill", settings, [*inputs, *(("teacher", each) for each in teachers)])


def _write_data(config: Config, paths: Sequence[Path], teachers: Sequence[ModelFolder], data: Path, work: Path) -> dict[str, int]:
    """Write train.parquet and validation.parquet of the student into ``work``; return how many sentences of which kind they hold."""
    work.mkdir(exist_ok=True)
    pool = _pool(config, paths, data, work / "pool.parquet")
    answers = [_teacher_scores(folder, pool, work / f"teacher-{folder.fingerprint}", config) for folder in teachers]
    soft = joined(np.stack(answers), config.distill.average)
    chosen = choose(soft.max(axis=1), config.distill.sentences, config.distill.focus, config.distill.focus_from)
    gold = pq.read_table(data / "train.parquet").to_pylist()
    by_label = pa.struct([(label, pa.float64()) for label in config.label_names])
    schema = pa.schema([*SCHEMA, pa.field("weight", pa.float64()), pa.field("soft", by_label)])
    rows = [{**row, "weight": config.distill.gold_weight * (row.get("weight") or 1.0)} for row in gold]
    for row in chosen:
        sentence_id, text = pool[row]["sentence_id"], pool[row]["sentence"]
        # A group of its own, unlike any of the gold ones; labels as far as the teachers are sure, for whoever reads the file.
        rows.append(
            {
                "article_id": sentence_id,
                "sentence_id": sentence_id,
                "start": 0,
                "end": len(text),
                "sentence": text,
                "labels": [label for k, label in enumerate(config.label_names) if soft[row, k] >= 0.5],
                "group": -1 - row,
                "meta": "{}",
                "weight": 1.0,
                "soft": dict(zip(config.label_names, map(float, soft[row]), strict=True)),
            }
        )
    for name, table in (
        ("train", pa.Table.from_pylist(rows, schema=schema)),
        ("validation", pq.read_table(data / "validation.parquet")),
    ):
        with replacing_file(work / f"{name}.parquet") as target:
            pq.write_table(table, target, compression="zstd")
    focus = int((soft[chosen].max(axis=1) >= config.distill.focus_from).sum()) if chosen else 0
    return {"gold": len(gold), "pool": len(pool), "kept": len(chosen), "focus": focus}


def _pool(config: Config, paths: Sequence[Path], data: Path, file: Path) -> list[dict[str, str]]:
    """Draw the sentences that the teachers score, or read those drawn before the run was stopped."""
    if not file.is_file():
        # A held-out sentence that stands in the crawl too must not be learnt, even without its label.
        splits = [split for split in SPLITS if (data / f"{split}.parquet").is_file()]
        seen = {_key(text) for split in splits for text in _sentences(data, split)}
        drawn = draw(_crawl(paths, config), config.distill.pool, config.distill.seed, seen)
        if not drawn:
            raise NetralError("the input holds no sentence beside those of the data set", "pass a crawl")
        with replacing_file(file) as target:
            pq.write_table(
                pa.Table.from_pylist([{"sentence_id": name, "sentence": text} for name, text in drawn], schema=_POOL_SCHEMA), target
            )
    rows: list[dict[str, str]] = pq.read_table(file).to_pylist()
    return rows


def _sentences(data: Path, split: str) -> list[str]:
    column: list[str] = pq.read_table(data / f"{split}.parquet", columns=["sentence"])["sentence"].to_pylist()
    return column


def _crawl(paths: Sequence[Path], config: Config) -> Iterator[tuple[str, str]]:
    stage = TextStage(config.text)
    with Progress("draw", "rows") as progress:
        for row in read_files(paths, config.read):
            progress.advance(1)
            if isinstance(row, Sentence):
                yield row.sentence_id, row.text
            elif not isinstance(row, Reject):
                yield from ((sentence.sentence_id, sentence.text) for sentence in stage.run(row).sentences)


def _key(text: str) -> str:
    return model_text(text).lower()


def draw(sentences: Iterable[tuple[str, str]], count: int, seed: int, without: set[str]) -> list[tuple[str, str]]:
    """Draw different sentences at random, holding no more than that many in memory.

    Each sentence gets a number from the seed and its text, and the lowest numbers win: neither the order of the input nor how often
    a sentence occurs changes what is drawn.

    Args:
        sentences: Ids and texts.
        count: How many to draw at most.
        seed: Of the draw.
        without: Texts that are left out, lower-cased and as the model sees them.

    Returns:
        Ids and texts, in the order of their numbers: any beginning of the list is a random draw too.

    >>> crawl = [("a:1", "ASN netral."), ("b:1", "ASN  Netral."), ("c:1", "Hujan."), ("d:1", "Panas.")]
    >>> sorted(text for _, text in draw(crawl, 3, 13, {"hujan."}))
    ['ASN netral.', 'Panas.']
    """
    heap: list[tuple[int, str, str]] = []
    taken: set[int] = set()
    for name, text in sentences:
        key = _key(text)
        # The largest of the numbers kept stands first in the heap.
        number = -int.from_bytes(hashlib.sha256(f"{seed}\0{key}".encode("utf-8", "surrogatepass")).digest()[:8], "big")
        if key in without or number in taken or (len(heap) == count and number < heap[0][0]):
            continue
        taken.add(number)
        heapq.heappush(heap, (number, name, text))
        if len(heap) > count:
            taken.remove(heapq.heappop(heap)[0])
    return [(name, text) for _, name, text in sorted(heap, key=lambda item: -item[0])]


def _teacher_scores(folder: ModelFolder, pool: list[dict[str, str]], scores: Path, config: Config) -> np.ndarray:
    """Return a teacher's calibrated logits, shape (sentences, labels in the order of the configuration), kept part by part as Parquet."""
    scores.mkdir(exist_ok=True)
    parts = [(begin, scores / f"{begin:09d}.parquet") for begin in range(0, len(pool), _PART)]
    missing = [(begin, path) for begin, path in parts if not path.is_file()]
    if missing:
        slopes, offsets = (
            np.array([getattr(folder.decision.calibration[label], name) for label in folder.labels]) for name in ("slope", "offset")
        )
        with (
            Predictor(folder.path, batch_tokens=config.label.batch_tokens) as predictor,
            Progress("teach", "sentences", sum(min(_PART, len(pool) - begin) for begin, _ in missing)) as progress,
        ):
            for begin, path in missing:
                rows = pool[begin : begin + _PART]
                sentences = [row["sentence"] for row in rows]
                found = slopes * (predictor.logits(sentences) + predictor.shifts(sentences)) + offsets
                columns = {label: found[:, k] for k, label in enumerate(folder.labels)}
                with replacing_file(path) as target:
                    pq.write_table(pa.table({"sentence_id": [row["sentence_id"] for row in rows], **columns}), target)
                progress.advance(len(rows))
    tables = [pq.read_table(path) for _, path in parts]
    return np.concatenate([np.column_stack([table[label].to_numpy() for label in config.label_names]) for table in tables])


def joined(logits: np.ndarray, average: str) -> np.ndarray:
    """Return one probability a sentence and label from the calibrated logits of several teachers.

    Args:
        logits: Shape (teachers, sentences, labels).
        average: What is averaged: ``probabilities``, or ``logits``, by which one sure teacher counts more than two doubtful ones.

    >>> two = np.array([[[0.0]], [[4.0]]])
    >>> joined(two, "probabilities").round(3).tolist(), joined(two, "logits").round(3).tolist()
    ([[0.741]], [[0.881]])
    """

    def probability(z: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-np.clip(z, -60, 60))))

    return np.asarray(probability(logits).mean(axis=0)) if average == "probabilities" else probability(logits.mean(axis=0))


def choose(highest: np.ndarray, count: int, focus: float, focus_from: float) -> list[int]:
    """Choose sentences of a random list so that a share of them may hold a label.

    Args:
        highest: The highest probability of any label, a value for each sentence.
        count: How many to choose at most.
        focus: Share of the chosen ones to be taken from those that reach ``focus_from``, as far as there are so many.
        focus_from: Where a label becomes possible.

    Returns:
        Indices in ascending order. The rest comes from the start of what remains of the list, whatever it holds.

    >>> choose(np.array([0.0, 0.9, 0.1, 0.0, 0.5, 0.8]), count=4, focus=0.5, focus_from=0.4)
    [0, 1, 2, 4]
    """
    first = np.flatnonzero(highest >= focus_from)[: round(count * focus)].tolist()
    rest = np.setdiff1d(np.arange(len(highest)), first)[: count - len(first)].tolist()
    return sorted(first + rest)
