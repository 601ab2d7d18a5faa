"""Which files an INPUT argument means, and where output may go."""

import glob
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from netral.errors import NetralError

COMPRESSIONS = (".gz", ".zst", ".xz")
FORMATS = (".txt", ".jsonl", ".parquet", ".csv", ".tsv", ".html", ".htm", ".warc")
# What the extra `crawl` installs, by format.
_CRAWL_MODULES = {".html": ("trafilatura",), ".htm": ("trafilatura",), ".warc": ("trafilatura", "warcio")}
_SHOWN_FORMATS = ".txt, .jsonl, .csv, .tsv, .html (also .gz, .zst, .xz), .parquet, .warc or .warc.gz"
STDIN = "-"


class Named(Protocol):
    """What has a file name: a path, or a file in an object store."""

    @property
    def suffixes(self) -> list[str]:
        """The suffixes of the name, each with its dot."""


def input_format(path: Named) -> str | None:
    """Return the format's suffix of a file name, compression apart, or None if it is none that netral reads.

    >>> input_format(Path("crawl.jsonl.gz")), input_format(Path("page.pdf"))
    ('.jsonl', None)
    """
    suffixes = [s.lower() for s in path.suffixes[-2:]]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        # Parquet compresses within the file; a WARC file is compressed record by record, and only gzip is common.
        inner = suffixes[0] if len(suffixes) == 2 else ""
        readable = inner in FORMATS and inner != ".parquet" and (inner != ".warc" or suffixes[1] == ".gz")
        return inner if readable else None
    return suffixes[-1] if suffixes and suffixes[-1] in FORMATS else None


def expand_inputs(inputs: Sequence[str], exclude: Path | None = None) -> list[Path]:
    """Return the files meant by files, folders and globs: each once, ordered by full path.

    The order of the arguments does not matter, so that it cannot change the output. ``exclude`` is the run's own
    output: an earlier one that lies in an input folder is not read.

    Raises:
        NetralError: An argument matches nothing, names a file of a format that is not read, or names the output itself; or a
            file needs the extra `crawl`, which is not installed.
    """
    output = exclude.resolve() if exclude is not None else None
    # A link is read under its own name (its target may have none that tells the format), but a file only once.
    found: dict[Path, Path] = {}
    for item in inputs:
        literal = Path(item)
        if output is not None and literal.is_file() and literal.resolve() == output:
            raise NetralError(f"{item}: is both input and output", "choose another --out")
        for path in _expand(item):
            real = path.resolve()
            if output is None or (real != output and output not in real.parents):
                found[real] = min(path.absolute(), found.get(real, path.absolute()))
    paths = sorted(found.values(), key=lambda p: p.as_posix())
    require_extra(paths)
    return paths


def require_extra(paths: Iterable[Path]) -> None:
    """Refuse pages and web archives before any work is done when the libraries that read them are not installed.

    Raises:
        NetralError: A file needs the extra `crawl`, which is not installed.
    """
    for path in paths:
        missing = [name for name in _CRAWL_MODULES.get(input_format(path) or "", ()) if find_spec(name) is None]
        if missing:
            raise NetralError(f"{path}: reading it needs {' and '.join(missing)}", "pip install 'netral[crawl]'")


def _expand(item: str) -> list[Path]:
    path = Path(item)
    if path.is_dir():
        files = _readable_files(path.rglob("*"))
        if not files:
            raise NetralError(f"{item}: the folder holds no file that netral reads", "pass the folder that holds the crawl")
        return files
    if path.exists():
        if not input_format(path):
            raise NetralError(f"{item}: not a format that netral reads", f"pass {_SHOWN_FORMATS} files")
        return [path]
    files = _readable_files(Path(p) for p in glob.glob(item, recursive=True))
    if not files:
        what = "matches no file that netral reads" if glob.has_magic(item) else "no such file or folder"
        raise NetralError(f"{item}: {what}", f"check the path; formats are {_SHOWN_FORMATS}")
    return files


def _readable_files(paths: Iterable[Path]) -> list[Path]:
    return [p for p in sorted(paths) if p.is_file() and input_format(p) and not is_sidecar(p.name)]


def shown(path: Path) -> str:
    """Name a file for messages and ids: below the working folder where it lies there, and always valid Unicode."""
    with suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return printable(path.as_posix())


def printable(name: str) -> str:
    """Replace what is not UTF-8 in a file name, which Python holds as half surrogates that cannot be written."""
    return os.fsencode(name).decode("utf-8", "replace")


def is_sidecar(name: str) -> bool:
    """Tell netral's own reject files in a folder from input."""
    return name == "rejects.jsonl" or name.endswith(".rejects.jsonl")


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; rename it into place if all went well, else remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside ``path``; rename it into place if all went well, else remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    beside.mkdir()
    try:
        yield beside
        if path.exists():
            old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
            os.replace(path, old)
            os.replace(beside, path)
            shutil.rmtree(old)
        else:
            os.replace(beside, path)
    finally:
        if beside.exists():
            shutil.rmtree(beside)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse to write over something unless told to.

    Raises:
        NetralError: The output exists, or with ``overwrite`` is something that netral did not write.
    """
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise NetralError(f"{path}: the output exists", "choose another --out, or pass --overwrite to replace it")
    if path.is_dir() and any(path.iterdir()) and not (path / "run.json").exists():
        raise NetralError(f"{path}: a folder that netral did not write; it is not replaced", "choose another --out")
