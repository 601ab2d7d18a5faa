"""The input files of a job, and whether they are still what they were."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netral.errors import NetralError
from netral.io.paths import COMPRESSIONS, shown
from netral.provenance import file_digest


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    bytes: int
    mtime_ns: int
    sha256: str


class Inputs:
    """Input files as they were found at the start."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Note size, time and digest of each file.

        Raises:
            NetralError: A file cannot be read.
        """
        self._files: dict[str, list[_File]] = {}
        for path in paths:
            try:
                # Looked at before the digest is taken, so that a change from here on shows.
                stat = path.stat()
                self._files.setdefault(shown(path), []).append(_File(path, stat.st_size, stat.st_mtime_ns, file_digest(path)))
            except OSError as error:
                raise NetralError(f"{path}: cannot be read ({error.strerror})", "check the path and its permissions") from None

    def paths(self) -> list[Path]:
        """Return the files in the order of reading."""
        return [file.path for files in self._files.values() for file in files]

    def listed(self) -> list[dict[str, Any]]:
        """Return name, size and digest of each file in the order of reading."""
        return [{"file": name, "bytes": file.bytes, "sha256": file.sha256} for name, files in self._files.items() for file in files]

    def plain_bytes(self) -> int | None:
        """Return the number of bytes to read, or None where compression hides it."""
        files = [file for files in self._files.values() for file in files]
        if any(file.path.suffix.lower() in (*COMPRESSIONS, ".parquet") for file in files):
            return None
        return sum(file.bytes for file in files)

    def check(self, names: Iterable[str] | None = None) -> None:
        """Check that files (all, or those named) have the size and time that they had at the start.

        Raises:
            NetralError: A file changed or vanished while the job read it.
        """
        for name in self._files if names is None else sorted(names):
            for file in self._files[name]:
                try:
                    stat = file.path.stat()
                    same = (stat.st_size, stat.st_mtime_ns) == (file.bytes, file.mtime_ns)
                    what = "changed"
                except OSError:
                    same, what = False, "vanished"
                if not same:
                    raise NetralError(
                        f"{name}: {what} while the job was reading it",
                        "let nothing write to the input; put the file back as it was and run again, "
                        "or label what is there now from the start with --overwrite",
                    )
