"""Which input rows a Ray job still has to do, and under which ids: what only a look at all rows in order can tell.

The input is read twice. Tasks read it and give back only an id and a digest for each row (:func:`scan`); the driver goes through
those in the order of the input (:class:`Planner`), as the local engine goes through the rows. What it finds for a group of files
(:class:`Plan`) goes with them to the tasks that read them again (:func:`planned_rows`).
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa

from netral.config import ReadSettings
from netral.errors import NetralError
from netral.io.ids import Renamer
from netral.io.paths import STDIN, expand_inputs, shown
from netral.io.readers import Row, read_file
from netral.io.remote import RemoteFile, expand_uris, is_uri
from netral.records import Article, Reject, Sentence


@dataclass(frozen=True, slots=True)
class Source:
    """An input file as it was found at the start."""

    file: Path | RemoteFile
    name: str
    bytes: int
    mtime_ns: int

    def changed(self) -> bool:
        """Tell whether the file has not the size and time that it had, or is gone."""
        try:
            if isinstance(self.file, RemoteFile):
                return self.file.changed()
            stat = self.file.stat()
        except OSError:
            return True
        return (stat.st_size, stat.st_mtime_ns) != (self.bytes, self.mtime_ns)


def find_sources(inputs: Sequence[str], out: str) -> list[Source]:
    """Return the files that paths, globs and URIs mean, in the order of their full names.

    Raises:
        NetralError: One matches nothing or has a format that is not read.
    """
    if STDIN in inputs:
        raise NetralError("-: a Ray job reads its input twice, standard input cannot be", "save it to a file first")
    paths = [each for each in inputs if not is_uri(each)]
    local = expand_inputs(paths, exclude=None if is_uri(out) else Path(out)) if paths else []
    remote = expand_uris(each for each in inputs if is_uri(each))
    own = out.rstrip("/") + "/"
    files: dict[str, Path | RemoteFile] = {path.as_posix(): path for path in local}
    files.update((file.shown(), file) for file in remote if not file.shown().startswith(own))
    return [_source(name, file) for name, file in sorted(files.items())]


def _source(name: str, file: Path | RemoteFile) -> Source:
    if isinstance(file, RemoteFile):
        return Source(file, name, file.bytes, file.mtime_ns)
    try:
        stat = file.stat()
    except OSError as error:
        raise NetralError(f"{file}: cannot be read ({error.strerror})", "check the path and its permissions") from None
    return Source(file, shown(file), stat.st_size, stat.st_mtime_ns)


def grouped(sources: Iterable[Source], size: int) -> list[list[Source]]:
    """Put consecutive small files together up to ``size`` bytes: a crawl may have each article in a file of its own."""
    groups: list[list[Source]] = []
    room = 0
    for source in sources:
        if source.bytes > room:
            groups.append([])
            room = size
        groups[-1].append(source)
        room -= source.bytes
    return groups


@dataclass(slots=True)
class Plan:
    """What is to be done with the rows of a group of files; rows are named by their place in the group, from 0.

    Attributes:
        rows: How many there are to do.
        skip: One byte a row: 1 where it was done in an earlier run.
        ids: Ids that differ from those which the rows ask for.
        provenance: Provenance that differs from the digest of the row because an equal row came before.
    """

    rows: int = 0
    skip: bytearray = field(default_factory=bytearray)
    ids: dict[int, str] = field(default_factory=dict)
    provenance: dict[int, str] = field(default_factory=dict)


class Planner:
    """Goes through all rows in the order of the input and decides about each."""

    def __init__(self, done: Iterable[tuple[str, str | None]]) -> None:
        """Take provenance and id of each row that is done."""
        self._done: set[str] = set()
        self._written: set[str] = set()
        for key, row_id in done:
            self._done.add(key)
            if row_id is not None:
                self._written.add(row_id)
        self._rename, self._count = Renamer(), Renamer()

    def add(self, plan: Plan, digest: str, wanted: str | None) -> None:
        """Decide about the next row of a group."""
        place = len(plan.skip)
        # Equal rows are told apart by counting them, as equal ids are.
        key = self._count(digest)
        # Rows that are done take part in the renaming, so that ids come out as in a run that was never stopped ...
        row_id = self._rename(wanted) if wanted is not None else None
        skip = key in self._done
        plan.skip.append(skip)
        if skip:
            return
        # ... and where files came in between, an id that stands in the output already is not given again.
        while wanted is not None and row_id in self._written:
            row_id = self._rename(wanted)
        plan.rows += 1
        if row_id is not None and row_id != wanted:
            plan.ids[place] = row_id
        if key != digest:
            plan.provenance[place] = key


class _Ids:
    """Stands in for the Renamer in a task: notes which id a row asks for and answers with the planned one."""

    def __init__(self, planned: dict[int, str]) -> None:
        self._planned = planned
        self.place = 0
        self.wanted: str | None = None

    def __call__(self, wanted: str) -> str:
        self.wanted = wanted
        return self._planned.get(self.place, wanted)


def _numbered(group: Iterable[Source], settings: ReadSettings, ids: _Ids) -> Iterator[Row]:
    for source in group:
        for row in read_file(source.file, source.name, settings, ids):
            yield row
            ids.place, ids.wanted = ids.place + 1, None


def scan(group: Iterable[Source], settings: ReadSettings, size: int = 100_000) -> Iterator[pa.Table]:
    """Yield digest and wanted id of each row, in tables of at most ``size`` rows."""
    ids, digests, wanted = _Ids({}), [], []
    for row in _numbered(group, settings, ids):
        digests.append(row_digest(row, ids.wanted))
        wanted.append(ids.wanted)
        if len(digests) == size:
            yield _scanned(digests, wanted)
            digests, wanted = [], []
    yield _scanned(digests, wanted)


def _scanned(digests: list[str], wanted: list[str | None]) -> pa.Table:
    return pa.table({"digest": pa.array(digests, pa.string()), "wanted": pa.array(wanted, pa.string())})


def planned_rows(group: Iterable[Source], settings: ReadSettings, plan: Plan, keys: list[str]) -> Iterator[Row]:
    """Yield the rows that are to do under their final ids, and append the provenance of each to ``keys``."""
    ids = _Ids(plan.ids)
    for row in _numbered(group, settings, ids):
        place = ids.place
        # Rows beyond the plan come from a file that grew; the driver refuses what was read from it.
        if place < len(plan.skip) and not plan.skip[place]:
            keys.append(plan.provenance.get(place) or row_digest(row, ids.wanted))
            yield row


def row_digest(row: Row, wanted: str | None) -> str:
    """Return 128 bits over what a row holds, whatever file it lies in and whatever id it got in the end.

    A row that nothing can be read of has only its place and what is wrong with it.

    >>> row_digest(Article("a.jsonl", 1, "x~2", "ASN netral."), "x") == row_digest(Article("b.jsonl", 7, "x", "ASN netral."), "x")
    True
    """
    what: list[Any]
    if isinstance(row, Article):
        what = ["article", wanted, row.title, row.text, row.meta]
    elif isinstance(row, Sentence):
        article = None if row.article_id in (wanted, row.sentence_id) else row.article_id
        what = ["sentence", wanted, article, row.start, row.end, row.text, row.meta]
    else:
        # An article kept out for its language asked for an id like any other, and may have got another one.
        what = ["reject", row.file, row.row, row.reason, row.detail, row.id if wanted is None else wanted]
    text = json.dumps(what, ensure_ascii=False, sort_keys=True)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def final_id(row: Row) -> str | None:
    """Return the id under which a row is written; None for a reject."""
    return None if isinstance(row, Reject) else row.sentence_id if isinstance(row, Sentence) else row.id


def rows_to_do(plans: Collection[Plan]) -> int:
    """Return how many rows are to do."""
    return sum(plan.rows for plan in plans)
