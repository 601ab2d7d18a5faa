"""What a stage was run with, written as run.json beside what it made."""

import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

RUN_FILE = "run.json"
_LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "evaluate",
    "accelerate",
    "scikit-learn",
    "numpy",
    "pyarrow",
    "trafilatura",
    "lxml",
    "warcio",
)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_digest(folder: Path, patterns: Sequence[str] = ("*",)) -> str:
    """Return one SHA-256 over the names and bytes of a folder's files, run.json apart."""
    digest = hashlib.sha256()
    files = {p for pattern in patterns for p in folder.rglob(pattern) if p.is_file() and p.name != RUN_FILE}
    for path in sorted(files, key=lambda p: p.relative_to(folder).as_posix()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


@cache
def code_digest() -> str:
    """Return a digest of netral's own source code, that of its pages too, so that changed code counts as changed work."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for package in ("netral", "training", "inference"):
        for path in sorted(path for path in (root / package).rglob("*") if path.suffix in (".py", ".html", ".js", ".css")):
            digest.update(f"{path.relative_to(root).as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def fingerprint(stage: str, settings: Any, inputs: Iterable[tuple[str, str]]) -> str:
    """Return a digest of everything that decides a stage's output: settings, inputs (name, digest) and code."""
    text = json.dumps([stage, settings, sorted(inputs), code_digest()], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def libraries() -> dict[str, str]:
    """Return the versions of netral's code and of the libraries that can change a result."""
    found = {"python": platform.python_version(), "netral": metadata.version("netral"), "netral code": code_digest()[:16]}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_json(path: Path, data: Any) -> None:
    """Write JSON as a person reads it: indented, keys in the given order, one line feed at the end."""
    path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def is_current(path: Path, wanted: str) -> bool:
    """Tell whether a run.json or summary says that it was made from exactly this, and the files it names are there."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(data, dict) or data.get("fingerprint") != wanted:
        return False
    return all((path.parent / name).exists() for name in data.get("files", []))
