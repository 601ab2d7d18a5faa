"""From crawled articles and gold labels to a partitioned data set."""

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import STDIN, expand_inputs, refuse_existing, replacing_folder
from netral.io.readers import read_inputs
from netral.io.streams import read_lines
from netral.io.writers import JsonlWriter, reject_row, split_row
from netral.progress import Progress
from netral.provenance import RUN_FILE, file_digest, fingerprint, is_current, libraries, write_json
from netral.records import SECOND, Article, Reject, Sentence
from netral.text import TextStage, no_sentences
from training.data.dataset import CARD, GIVEN_SPLITS, GROUPED_SPLITS, PAIR_SCHEMA, SCHEMA
from training.data.given_labels import label_problem, with_labels
from training.data.near_duplicates import closest_across, group_articles
from training.data.partition import SPLITS
from training.data.splits import divided, moved, read_splits, split_counts, texts_of
from training.statistics.leaks import SIMILARITY_FILE

_AUDITED_PAIRS = 20


@dataclass(slots=True)
class Collected:
    """What reading and joining gave."""

    labelled: list[Sentence] = field(default_factory=list)
    unlabelled: list[Sentence] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """The labels an annotator gave to a stretch of an article."""

    start: int
    end: int
    sentence: str
    labels: tuple[str, ...]
    row: int


def prepare(
    inputs: Sequence[str], out: Path, config: Config, *, keep_splits: Path | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Make a data set folder and return its run record; does nothing if it is there and up to date.

    The folder holds train, validation and test as Parquet, ``unlabelled.jsonl``, ``rejects.jsonl``, ``leak_audit.json``,
    ``leak_audit.parquet`` and ``run.json``. With ``keep_splits``, an earlier data set (which may be ``out`` itself), its articles stay in
    their splits, so that a test set stays one when labels are corrected and articles come in.

    Raises:
        NetralError: Nothing to read, no labelled sentence, a bad gold file, no earlier data set, or the output exists.
    """
    if STDIN in inputs:
        raise NetralError("-: prepare reads files, not standard input", "save the records as a .jsonl file")
    paths = expand_inputs(inputs, exclude=out)
    gold_path = Path(config.prepare.gold) if config.prepare.gold else None
    settings = config.model_dump(include={"labels", "task", "pairs", "text", "read", "prepare"})
    settings["prepare"].pop("gold")
    sources = [(p.name, file_digest(p)) for p in [*paths, *([gold_path] if gold_path and gold_path.is_file() else [])]]
    earlier = read_splits(keep_splits, config) if keep_splits else {}
    wanted = fingerprint("prepare", [settings, earlier], sources)
    if is_current(out / RUN_FILE, wanted):
        return {**json.loads((out / RUN_FILE).read_text(encoding="utf-8")), "unchanged": True}
    refuse_existing(out, overwrite)
    gold = read_gold(gold_path, config) if gold_path else {}
    found = collect(inputs, out, config, gold)
    if not found.labelled:
        reasons = Counter(reject.reason for reject in found.rejects)
        why = "; rejected: " + ", ".join(f"{n} {reason}" for reason, n in reasons.most_common(3)) if reasons else ""
        raise NetralError(
            f"{', '.join(inputs)}: no sentence with a gold label{why}",
            "name the label file under `prepare.gold`, or give records a `sentence` and a `labels` field (see docs/tasks.md)",
        )
    return _write(found, out, config, wanted, dict(sources), earlier)


def read_gold(path: Path, config: Config) -> dict[str, list[GoldSpan]]:
    """Read a label file: JSON lines with `article_id`, `start`, `end`, `sentence`, `labels`.

    Returns:
        The labelled spans of each article, ordered.

    Raises:
        NetralError: The file is missing or a row is wrong. A wrong label file is a mistake to correct, not noise to skip.
    """
    if not path.is_file():
        raise NetralError(f"{path}: no such label file", "correct `prepare.gold`")
    spans: dict[str, list[GoldSpan]] = defaultdict(list)
    for line in read_lines(path, config.read.max_record_bytes):
        if not line.reason and not line.data.strip():
            continue
        where = f"{path}:{line.row}"
        try:
            row: Any = json.loads(line.data) if not line.reason else None
            span = GoldSpan(row["start"], row["end"], row["sentence"], tuple(row["labels"]), line.row)
            article_id = str(row["article_id"])
        except (ValueError, TypeError, KeyError) as error:
            raise NetralError(
                f"{where}: not a label row ({line.reason or error})", "each row needs article_id, start, end, sentence, labels"
            ) from None
        _check_labels(span.labels, where, config)
        if not (isinstance(span.start, int) and isinstance(span.end, int) and 0 <= span.start < span.end):
            raise NetralError(f"{where}: start and end are no span", "offsets are whole numbers into the article text as read")
        spans[article_id].append(span)
    return {article: sorted(found, key=lambda s: s.start) for article, found in spans.items()}


def _check_labels(labels: Sequence[str], where: str, config: Config) -> None:
    known = f"known labels: {', '.join(config.label_names)} (set with `labels:`)"
    for label in labels:
        if label not in config.label_names:
            raise NetralError(f"{where}: unknown label {label!r}", known)
    if problem := label_problem(labels, config):
        raise NetralError(f"{where}: {problem[1]}", known)


def collect(inputs: Sequence[str], out: Path, config: Config, gold: dict[str, list[GoldSpan]]) -> Collected:
    """Read, clean and split the inputs and join the gold labels."""
    found = Collected()
    stage = TextStage(config.text)
    joined: set[str] = set()
    with Progress("prepare", "rows") as progress:
        for row in read_inputs(inputs, config.read, gold=True, exclude=out):
            progress.advance(1)
            if isinstance(row, Reject):
                found.rejects.append(row)
            elif isinstance(row, Sentence):
                _take_sentence(row, found, config)
            elif config.pairs:
                found.rejects.append(
                    Reject(row.file, row.row, "missing_field", "an article; pairs are records with sentence and sentence_2", row.id)
                )
            else:
                joined.add(row.id)
                _take_article(row, stage, gold.get(row.id), found, str(config.prepare.gold))
    for article in sorted(set(gold) - joined):
        first = gold[article][0]
        found.rejects.append(
            Reject(str(config.prepare.gold), first.row, "gold_without_article", f"no article {article} in the input", article)
        )
    return found


def _take_sentence(sentence: Sentence, found: Collected, config: Config) -> None:
    labelled = with_labels(sentence, config)
    if isinstance(labelled, Reject):
        found.rejects.append(labelled)
    elif labelled.gold is None:
        found.unlabelled.append(labelled)
    else:
        found.labelled.append(labelled)


def _take_article(article: Article, stage: TextStage, gold: list[GoldSpan] | None, found: Collected, where: str) -> None:
    text = stage.run(article)
    found.dropped.update(drop.rule for drop in text.drops)
    if not text.sentences:
        found.rejects.append(no_sentences(article, text.drops))
    if gold is None:
        found.unlabelled += text.sentences
        return
    for span in gold:
        if article.text[span.start : span.end] != span.sentence:
            raise NetralError(
                f"{where}:{span.row}: the article {article.id} does not hold this sentence at {span.start}:{span.end}",
                "the article text has changed since it was labelled; export the labels again",
            )
    labelled, unmatched = join_gold(text.sentences, gold)
    found.labelled += [sentence for sentence in labelled if sentence.gold is not None]
    for sentence in labelled:
        if sentence.gold is None:
            found.rejects.append(
                Reject(article.file, article.row, "not_in_gold", f"no label for: {sentence.text[:120]}", sentence.sentence_id)
            )
    for span in unmatched:
        found.rejects.append(
            Reject(article.file, article.row, "gold_not_matched", f"cleaning or splitting lost: {span.sentence[:120]}", article.id)
        )


def join_gold(sentences: Sequence[Sentence], gold: Sequence[GoldSpan]) -> tuple[list[Sentence], list[GoldSpan]]:
    """Give sentences the labels of the gold span that they overlap by at least half of their union.

    Returns:
        All sentences, with ``gold`` set where a span fits, and the gold spans that no sentence fits.
    """
    starts = [span.start for span in gold]
    used: set[int] = set()
    out = []
    for sentence in sentences:
        best, share = -1, 0.5
        for k in range(max(bisect_right(starts, sentence.start) - 2, 0), len(gold)):
            if gold[k].start >= sentence.end:
                break
            shared = min(sentence.end, gold[k].end) - max(sentence.start, gold[k].start)
            union = max(sentence.end, gold[k].end) - min(sentence.start, gold[k].start)
            if shared / union >= share:
                best, share = k, shared / union
        if best >= 0:
            used.add(best)
        out.append(replace(sentence, gold=gold[best].labels) if best >= 0 else sentence)
    return out, [span for k, span in enumerate(gold) if k not in used]


def _write(found: Collected, out: Path, config: Config, wanted: str, sources: dict[str, str], earlier: Mapping[str, str]) -> dict[str, Any]:
    gold = [[label for label in config.label_names if label in (s.gold or ())] for s in found.labelled]
    groups = group_articles(texts_of(found.labelled, config), [s.article_id for s in found.labelled], config.prepare.near_duplicate)
    splits, near_held_out = divided(found.labelled, texts_of(found.labelled, config), groups, gold, config, earlier)
    found.rejects += near_held_out
    kept = [i for i, split in enumerate(splits) if split]
    found.labelled, gold = [found.labelled[i] for i in kept], [gold[i] for i in kept]
    groups, splits = [groups[i] for i in kept], [splits[i] for i in kept]
    run: dict[str, Any] = {
        "stage": "prepare",
        "fingerprint": wanted,
        "settings": config.model_dump(include={"labels", "task", "pairs", "text", "read", "prepare"}),
        "inputs": sources,
        "counts": {
            "labelled": len(found.labelled),
            "unlabelled": len(found.unlabelled),
            "rejects": dict(sorted(Counter(r.reason for r in found.rejects).items())),
            "dropped": dict(sorted(found.dropped.items())),
            **({"moved": moved(found.labelled, splits, earlier)} if earlier else {}),
            "splits": {split: split_counts(split, splits, found.labelled, gold, groups, config.label_names) for split in SPLITS},
        },
        "libraries": libraries(),
    }
    # Where the label file lies is no part of what was done with it; its digest stands under inputs.
    run["settings"]["prepare"]["gold"] = Path(config.prepare.gold).name if config.prepare.gold else None
    with replacing_folder(out) as folder:
        for split in SPLITS:
            rows = [
                {**split_row(s), SECOND: s.meta.get(SECOND), "labels": names, "group": group, "meta": _meta(s, config)}
                for s, names, group, where in zip(found.labelled, gold, groups, splits, strict=True)
                if where == split
            ]
            schema = PAIR_SCHEMA if config.pairs else SCHEMA
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{split}.parquet", compression="zstd")
        with JsonlWriter(folder / "unlabelled.jsonl") as writer:
            for sentence in found.unlabelled:
                writer.write(split_row(sentence))
        with JsonlWriter(folder / "rejects.jsonl") as writer:
            for reject in found.rejects:
                writer.write(reject_row(reject))
        (folder / "README.md").write_text(CARD + (GIVEN_SPLITS if config.prepare.splits else GROUPED_SPLITS), encoding="utf-8")
        pairs = closest_across(texts_of(found.labelled, config), splits)
        write_json(folder / "leak_audit.json", _leak_audit(found.labelled, splits, pairs, config))
        pq.write_table(_nearest(found.labelled, splits, pairs), folder / SIMILARITY_FILE, compression="zstd")
        run["files"] = sorted(path.name for path in folder.iterdir())
        write_json(folder / RUN_FILE, run)
    return run


def _meta(sentence: Sentence, config: Config) -> str:
    meta = {key: value for key, value in sentence.meta.items() if not (config.pairs and key == SECOND)}
    return json.dumps(meta, ensure_ascii=False)


def _nearest(labelled: list[Sentence], splits: list[str], pairs: list[tuple[float, int, int]]) -> pa.Table:
    """Return for each held-out sentence the nearest one of another split, in the order of the sentences."""
    rows = [
        {
            "sentence_id": labelled[i].sentence_id,
            "split": splits[i],
            "similarity": round(similarity, 4),
            "nearest_sentence_id": labelled[j].sentence_id,
            "nearest_split": splits[j],
        }
        for similarity, i, j in sorted(pairs, key=lambda pair: pair[1])
    ]
    text = ("sentence_id", "split", "nearest_sentence_id", "nearest_split")
    schema = pa.schema([(name, pa.string() if name in text else pa.float64()) for name in (*text[:2], "similarity", *text[2:])])
    return pa.Table.from_pylist(rows, schema=schema)


def _leak_audit(labelled: list[Sentence], splits: list[str], pairs: list[tuple[float, int, int]], config: Config) -> dict[str, Any]:
    by_split: dict[str, set[str]] = defaultdict(set)
    for sentence, split in zip(labelled, splits, strict=True):
        by_split[split].add(sentence.article_id)
    shared = sorted((by_split["train"] & (by_split["validation"] | by_split["test"])) | (by_split["validation"] & by_split["test"]))
    return {
        "measure": "Jaccard similarity of character 5-grams between a held-out sentence and the nearest one of another split",
        "exempt": "sentences under 40 characters do not tie articles together, and may occur in two splits",
        "near_duplicate_threshold": config.prepare.near_duplicate,
        "highest_cross_split_similarity": round(pairs[0][0], 4) if pairs else None,
        "articles_in_two_splits": shared,
        "closest_pairs": [
            {
                "similarity": round(similarity, 4),
                "split": splits[i],
                "held_out": {"sentence_id": labelled[i].sentence_id, "sentence": labelled[i].text},
                "nearest": {"split": splits[j], "sentence_id": labelled[j].sentence_id, "sentence": labelled[j].text},
            }
            for similarity, i, j in pairs[:_AUDITED_PAIRS]
        ],
    }
