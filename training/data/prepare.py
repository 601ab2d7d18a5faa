"""From crawled articles and gold labels to a partitioned data set."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from netral.config import Config
from netral.errors import NetralError
from netral.io.paths import STDIN, expand_inputs, refuse_existing, replacing_folder
from netral.io.readers import read_inputs
from netral.io.writers import JsonlWriter, reject_row, split_row
from netral.progress import Progress
from netral.provenance import RUN_FILE, file_digest, fingerprint, is_current, libraries, write_json
from netral.records import SECOND, Article, Reject, Sentence
from netral.text import TextStage, no_sentences
from training.data.dataset import CARD, GIVEN_SPLITS, GROUPED_SPLITS, PAIR_SCHEMA, SCHEMA
from training.data.given_labels import with_labels
from training.data.gold import GoldFile, GoldSpan, join_gold, join_records, read_gold, relabelled
from training.data.near_duplicates import closest_across, group_articles
from training.data.partition import SPLITS
from training.data.splits import Earlier, divided, moved, read_splits, split_counts, texts_of
from training.statistics.leaks import SIMILARITY_FILE

_AUDITED_PAIRS = 20


@dataclass(slots=True)
class Collected:
    """What reading and joining gave."""

    labelled: list[Sentence] = field(default_factory=list)
    unlabelled: list[Sentence] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    # The first labels of sentences to which a later label file gave others, by sentence id.
    replaced: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # What each label file did to how many sentences (training.data.gold.relabelled).
    by_file: dict[Path, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


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
    gold_paths = _label_files(config, paths)
    settings = config.model_dump(include={"labels", "task", "pairs", "text", "read", "prepare"})
    # In their order, for of two label files the later counts.
    settings["prepare"]["gold"] = [file_digest(path) for path in gold_paths]
    sources = [(path.name, file_digest(path)) for path in [*paths, *gold_paths]]
    earlier = read_splits(keep_splits, config) if keep_splits else None
    if keep_splits:
        # A data set that keeps its own splits is what it is: made again from the same input it would be the same.
        settings["keep_splits"] = (
            "its own" if keep_splits.resolve() == out.resolve() else [file_digest(keep_splits / f"{s}.parquet") for s in SPLITS]
        )
    wanted = fingerprint("prepare", settings, sources)
    if is_current(out / RUN_FILE, wanted):
        return {**json.loads((out / RUN_FILE).read_text(encoding="utf-8")), "unchanged": True}
    refuse_existing(out, overwrite)
    found = collect(inputs, out, config, [read_gold(path, config) for path in gold_paths])
    if not found.labelled:
        reasons = Counter(reject.reason for reject in found.rejects)
        why = "; rejected: " + ", ".join(f"{n} {reason}" for reason, n in reasons.most_common(3)) if reasons else ""
        raise NetralError(
            f"{', '.join(inputs)}: no sentence with a gold label{why}",
            "name the label file with `--gold`, or give records a `sentence` and a `labels` field (see docs/tasks.md)",
        )
    return _write(found, out, config, wanted, _by_name(sources), earlier)


def _by_name(sources: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Key digests by file name, numbered where two files have one."""
    found: dict[str, str] = {}
    for name, digest in sources:
        same = sum(each == name or each.startswith(f"{name} (") for each in found)
        found[f"{name} ({same + 1})" if same else name] = digest
    return found


def _label_files(config: Config, inputs: Sequence[Path]) -> list[Path]:
    read = {path.resolve() for path in inputs}
    named = [config.prepare.gold] if isinstance(config.prepare.gold, str) else config.prepare.gold or []
    empty = next((name for name in named if name and Path(name).is_dir() and not any(Path(name).glob("*.jsonl"))), None)
    if empty:
        raise NetralError(f"{empty}: holds no label file", "put files that end in .jsonl there, or correct `prepare.gold` or `--gold`")
    for path in config.prepare.gold_files:
        if not path.is_file():
            raise NetralError(f"{path}: no such label file", "correct `prepare.gold` or `--gold`")
        if path.resolve() in read:
            raise NetralError(f"{path}: is both input and label file", "keep label files out of the folders that are read")
    return config.prepare.gold_files


def collect(inputs: Sequence[str], out: Path, config: Config, gold: Sequence[GoldFile]) -> Collected:
    """Read, clean and split the inputs and join the labels: of files that label the same sentence the last counts."""
    found = Collected()
    stage = TextStage(config.text)
    sentences: list[Sentence] = []
    records: list[int] = []
    joined: set[str] = set()
    with Progress("prepare", "rows") as progress:
        for row in read_inputs(inputs, config.read, gold=True, exclude=out):
            progress.advance(1)
            given = with_labels(row, config) if isinstance(row, Sentence) else row
            if isinstance(given, Reject):
                found.rejects.append(given)
            elif isinstance(given, Sentence):
                records.append(len(sentences))
                sentences.append(given)
            elif config.pairs:
                found.rejects.append(
                    Reject(given.file, given.row, "missing_field", "an article; pairs are records with sentence and sentence_2", given.id)
                )
            else:
                joined.add(given.id)
                sentences += _of_article(given, stage, [each for each in gold if given.id in each.spans], found)
    for file in gold:
        spans, rejects = join_records([sentences[i] for i in records], file, joined)
        found.rejects += rejects
        for i, span in zip(records, spans, strict=True):
            sentences[i] = relabelled(sentences[i], span, found.replaced, found.by_file[file.path])
    for sentence in sentences:
        (found.unlabelled if sentence.gold is None else found.labelled).append(sentence)
    return found


def _of_article(article: Article, stage: TextStage, gold: Sequence[GoldFile], found: Collected) -> list[Sentence]:
    """Return the sentences of an article with their labels; of one that has labels only the sentences that have some."""
    text = stage.run(article)
    found.dropped.update(drop.rule for drop in text.drops)
    if not text.sentences:
        found.rejects.append(no_sentences(article, text.drops))
    sentences, lost = list(text.sentences), []
    for file in gold:
        spans = file.spans[article.id]
        _check_slices(article, spans, file.path)
        matched, unmatched = join_gold(text.sentences, spans)
        tally = found.by_file[file.path]
        sentences = [relabelled(sentence, span, found.replaced, tally) for sentence, span in zip(sentences, matched, strict=True)]
        lost += [
            Reject(article.file, article.row, "gold_not_matched", f"cleaning or splitting lost: {span.sentence[:120]}", article.id)
            for span in unmatched
        ]
    if not gold:
        return sentences
    found.rejects += [
        Reject(article.file, article.row, "not_in_gold", f"no label for: {sentence.text[:120]}", sentence.sentence_id)
        for sentence in sentences
        if sentence.gold is None
    ]
    found.rejects += lost
    return [sentence for sentence in sentences if sentence.gold is not None]


def _check_slices(article: Article, spans: Sequence[GoldSpan], path: Path) -> None:
    for span in spans:
        if article.text[span.start : span.end] != span.sentence:
            raise NetralError(
                f"{path}:{span.row}: the article {article.id} does not hold this sentence at {span.start}:{span.end}",
                "the article text has changed since it was labelled; export the labels again",
            )


def _write(found: Collected, out: Path, config: Config, wanted: str, sources: dict[str, str], earlier: Earlier | None) -> dict[str, Any]:
    texts = texts_of(found.labelled, config)
    gold = [_in_order(s.gold or (), config) for s in found.labelled]
    # Divided as if no label had been corrected, so that a correction moves no sentence to another split: divided by the corrected labels,
    # ten corrections of the gold corpus left 20 of its 90 test articles where they were.
    first = [_in_order(found.replaced.get(s.sentence_id, s.gold or ()), config) for s in found.labelled]
    groups = group_articles(texts, [s.article_id for s in found.labelled], config.prepare.near_duplicate)
    splits, near_held_out = divided(found.labelled, texts, groups, first, config, earlier or Earlier())
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
            "corrected": sum(s.sentence_id in found.replaced for s in found.labelled),
            # In the order in which they count.
            "label_files": [{"file": path.name, **found.by_file[path]} for path in config.prepare.gold_files],
            "unlabelled": len(found.unlabelled),
            "rejects": dict(sorted(Counter(r.reason for r in found.rejects).items())),
            "dropped": dict(sorted(found.dropped.items())),
            **({"moved": moved(found.labelled, texts_of(found.labelled, config), splits, earlier)} if earlier else {}),
            "splits": {split: split_counts(split, splits, found.labelled, gold, groups, config.label_names) for split in SPLITS},
        },
        "libraries": libraries(),
    }
    # Where the label files lie is no part of what was done with them; their digests stand under inputs.
    run["settings"]["prepare"]["gold"] = [path.name for path in config.prepare.gold_files]
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


def _in_order(labels: Sequence[str], config: Config) -> list[str]:
    return [label for label in config.label_names if label in labels]


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
