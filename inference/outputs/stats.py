"""Counts articles and labels over outputs of `netral label`, by outlet, region, week or any field: `netral stats`."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any
from urllib.parse import urlsplit

from inference.outputs.read import NEXT, not_a_row, output_rows
from netral.citations.dates import article_date
from netral.errors import NetralError
from netral.io.columns import ALIASES
from netral.io.ids import HashSet
from netral.io.paths import replacing_file

UNKNOWN = "(unknown)"
# With fewer articles the interval around a share of one half is wider than 0.34 (Wilson, 95 %): too wide to rank anything by.
SMALL = 30
# Memory grows with the groups alone. A field with more values is an id or an address, no group.
MAX_GROUPS = 10_000
_DATES = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}
_REGION = ("region", "wilayah", "daerah", "provinsi", "province")
_COLUMNS = ("labels", "article_id", "model", "meta", "provenance")
# Sentences have scores; articles the counts of their sentences.
_LEVEL_COLUMNS = ("scores", "sentences", "counts")
_HEADER = (
    *("by", "group", "label", "articles", "articles_with_label", "article_share", "low", "high"),
    *("sentences", "sentences_with_label", "sentence_share", "small"),
)


@dataclass(slots=True)
class Group:
    """Counts of one group.

    Attributes:
        articles: Articles in it.
        sentences: Their labelled sentences.
        with_label: By label, articles with at least one sentence that has it.
        labelled: By label, sentences that have it.
    """

    articles: int = 0
    sentences: int = 0
    with_label: Counter[str] = field(default_factory=Counter)
    labelled: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Stats:
    """What was counted.

    Attributes:
        labels: The labels in the model's order.
        groups: By name of the grouping (``all`` first), the groups in the order of the table.
        models: Fingerprints of the models that labelled the rows.
        repeated: Articles whose id came before; they are counted again.
    """

    labels: list[str]
    groups: dict[str, dict[str, Group]]
    models: list[str]
    repeated: int


@dataclass(slots=True)
class _Article:
    id: str
    file: str
    url: str | None
    meta: dict[str, Any]
    sentences: int
    counts: dict[str, int]
    model: str


def count(outputs: Sequence[str], by: Sequence[str], confidence: float = 0.95) -> Stats:
    """Count articles, sentences and labels over outputs, sentence rows and article rows alike; memory does not grow with them.

    Raises:
        NetralError: An output is missing or has other rows or labels, no article has a field to group by, or a field has too many values.
    """
    groups: dict[str, dict[str, Group]] = {"all": {}, **{name: {} for name in by}}
    labels: list[str] | None = None
    models: set[str] = set()
    seen, repeated = HashSet(), 0
    for output in outputs:
        for article in _articles(output):
            if labels is None:
                labels = list(article.counts)
            elif list(article.counts) != labels:
                raise NetralError(f"{output}: has other labels than the rows before", "count outputs of one label set at a time")
            models.add(article.model)
            repeated += not seen.add(article.id)
            for name, found in groups.items():
                group = found.setdefault("all" if name == "all" else group_of(name, article.meta, article.url), Group())
                _add(group, article)
                if len(found) > MAX_GROUPS:
                    raise NetralError(f"--by {name}: more than {MAX_GROUPS} groups", "choose a field with fewer values")
    if labels is None:
        raise NetralError(f"{', '.join(outputs)}: no labelled sentence", NEXT)
    return Stats(labels, {name: _ordered(name, found) for name, found in groups.items()}, sorted(models), repeated)


def _add(group: Group, article: _Article) -> None:
    group.articles += 1
    group.sentences += article.sentences
    for label, n in article.counts.items():
        group.with_label[label] += n > 0
        group.labelled[label] += n


def _ordered(by: str, groups: dict[str, Group]) -> dict[str, Group]:
    """Put dates in their order and other groups by size; articles of which the group is not known come last."""
    sizes = {name: 0 if by in _DATES else -group.articles for name, group in groups.items()}
    return {name: groups[name] for name in sorted(groups, key=lambda name: (name == UNKNOWN, sizes[name], name))}


def group_of(by: str, meta: dict[str, Any], url: str | None = None) -> str:
    """Return the group of an article: by date, outlet or region, or the value of the field of that name (``meta.NAME`` for any name).

    An outlet that is not named is the host of the address.

    >>> group_of("week", {"tanggal": "18 November 2024"}), group_of("outlet", {}, "https://warta.example/a"), group_of("topic", {})
    ('2024-W47', 'warta.example', '(unknown)')
    """
    if by in _DATES:
        day = article_date(meta)
        return day.strftime(_DATES[by]) if day else UNKNOWN
    if by == "outlet":
        address = _filled(meta, ALIASES["url"]) or url or ""
        return _filled(meta, ALIASES["outlet"]) or _host(address) or UNKNOWN
    return _filled(meta, _REGION if by == "region" else (by.removeprefix("meta."),)) or UNKNOWN


def _filled(meta: dict[str, Any], names: Sequence[str]) -> str:
    fields = {key.lower(): value for key, value in meta.items()}
    for name in names:
        value = fields.get(name.lower())
        if value not in (None, "", [], {}):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            # Names stand in tables: on one line, and short.
            plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
            if plain:
                return plain[:100]
    return ""


def _host(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def wilson(n: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share (Wilson 1927); it holds for few articles and for shares of 0 and 1.

    >>> wilson(0, 10), wilson(0, 0)
    ((0.0, 0.2775), (0.0, 1.0))
    """
    if not of:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, spread = n / of, z * z / of
    half = z * (share * (1 - share) / of + spread / (4 * of)) ** 0.5
    low, high = ((share + spread / 2 + side * half) / (1 + spread) for side in (-1, 1))
    return round(max(low, 0.0), 4), round(min(high, 1.0), 4)


def rows(stats: Stats) -> Iterator[dict[str, Any]]:
    """Yield the rows of the CSV: one for each grouping, group and label."""
    for by, groups in stats.groups.items():
        for name, group in groups.items():
            for label in stats.labels:
                n, labelled = group.with_label[label], group.labelled[label]
                figures = (group.articles, n, round(n / group.articles, 4), *wilson(n, group.articles))
                sentences = (group.sentences, labelled, round(labelled / max(group.sentences, 1), 4))
                yield dict(zip(_HEADER, (by, name, label, *figures, *sentences, int(group.articles < SMALL)), strict=True))


def write_csv(stats: Stats, out: Path) -> None:
    """Write the counts as CSV in long form. A name that a spreadsheet would compute gets an apostrophe before it."""
    with replacing_file(out) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _HEADER, lineterminator="\n")
        writer.writeheader()
        for row in rows(stats):
            name = row["group"]
            writer.writerow(row | {"group": f"'{name}" if name.startswith(("=", "+", "-", "@", "'")) else name})


def table(stats: Stats, by: str, limit: int = 30) -> list[list[str]]:
    """Return the table of one grouping for a person: a header row, then at most ``limit`` groups."""
    out = [["all" if by == "all" else by, "articles", "sentences", *stats.labels]]
    groups = stats.groups[by]
    # Of dates the latest are shown, of others the largest.
    shown = list(groups)[-limit:] if by in _DATES else list(groups)[:limit]
    for name in shown:
        group = groups[name]
        cells = []
        for label in stats.labels:
            n = group.with_label[label]
            low, high = wilson(n, group.articles)
            cells.append(f"{n} {n / group.articles:.1%} [{100 * low:.1f}, {100 * high:.1f}]")
        out.append([name + ("*" if group.articles < SMALL else ""), str(group.articles), str(group.sentences), *cells])
    return out


# ---- reading outputs


def _articles(output: str) -> Iterator[_Article]:
    """Yield the articles of an output; sentence rows that follow each other with one file and article id are an article."""
    article: _Article | None = None
    for where, record in output_rows(output, _COLUMNS, _LEVEL_COLUMNS, articles=True):
        try:
            row = _row(record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise not_a_row(where, f"{error.args[0]} is missing" if isinstance(error, KeyError) else error) from None
        if article is not None and (article.file, article.id) == (row.file, row.id):
            article.sentences += row.sentences
            for label, n in row.counts.items():
                article.counts[label] = article.counts.get(label, 0) + n
            continue
        if article is not None:
            yield article
        article = row
    if article is not None:
        yield article


def _row(record: dict[str, Any]) -> _Article:
    """Return a row as an article, or as a part of one."""
    labels, source = record["labels"], record["provenance"] or {}
    # A row of an article counts its sentences, any other is a sentence.
    counts = record["counts"] if "counts" in record else {label: label in labels for label in record["scores"]}
    return _Article(
        id=record["article_id"],
        file=source.get("file") or "",
        url=source.get("url"),
        meta=record["meta"],
        sentences=record.get("sentences", 1),
        counts={label: int(n) for label, n in counts.items()},
        model=record["model"],
    )
