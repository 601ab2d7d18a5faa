"""Locks on an output folder that end with the process that holds them, however it ends."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from inference.jobs.shards import MANIFEST
from netral.errors import NetralError

LOCK = ".lock"
_SLICE_LOCK = re.compile(r"\.lock-\d+-of-(\d+)")


@dataclass(frozen=True, slots=True)
class Slice:
    """Every n-th shard, for one job of an array: ``2/3`` is the second of three."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> "Slice":
        """Read ``i/n``.

        >>> Slice.parse("2/3").holds(4)
        True

        Raises:
            NetralError: It is not i/n with 1 ≤ i ≤ n.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise NetralError(f"--shard {text}: not i/n with i from 1 to n", "pass --shard 1/4 in the first of four jobs")
        return cls(int(found[1]), int(found[2]))

    def holds(self, index: int) -> bool:
        """Tell whether a shard belongs to this slice."""
        return index % self.of == self.number - 1


class FolderLock:
    """Holds an output folder for one job, or together with the other jobs of an array.

    ``flock`` belongs to the open file: the kernel lets go of it when the process dies. Workers do not inherit it.
    """

    def __init__(self, folder: Path, part: Slice | None) -> None:
        """Name the folder, and the slice of an array job."""
        self._folder, self._part = folder, part
        self._stack = ExitStack()
        self._made = False

    def __enter__(self) -> "FolderLock":
        """Make the folder if need be and lock it.

        Raises:
            NetralError: Another job is at work there, or the folder cannot be written to.
        """
        try:
            self._made = not self._folder.exists()
            self._folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                self._take(LOCK, shared=self._part is not None, stack=stack)
                if self._part:
                    with self.setup():
                        self._refuse_another_division(self._part)
                        self._take(f".lock-{self._part.number}-of-{self._part.of}", stack=stack)
                self._stack = stack.pop_all()
        except OSError as error:
            raise NetralError(
                f"{error.filename or self._folder}: {error.strerror}", "choose an --out folder that you may write to"
            ) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let go; a folder in which nothing was begun is left as it was found."""
        if not self._part and not (self._folder / MANIFEST).exists():
            (self._folder / LOCK).unlink()
            if self._made and not any(self._folder.iterdir()):
                self._folder.rmdir()
        self._stack.close()

    @contextmanager
    def setup(self) -> Iterator[None]:
        """Keep other jobs of the array out for a moment: one of them writes the manifest, one the summary."""
        with ExitStack() as stack:
            if self._part:
                self._take(".lock-setup", wait=True, stack=stack)
            yield

    def alone(self) -> bool:
        """Tell whether no other job of the array is at work; to be asked during setup."""
        return self._part is None or not any(self._held(path) for path in self._others())

    def _others(self) -> list[Path]:
        own = f".lock-{self._part.number}-of-{self._part.of}" if self._part else ""
        return [path for path in self._folder.iterdir() if _SLICE_LOCK.fullmatch(path.name) and path.name != own]

    def _refuse_another_division(self, part: Slice) -> None:
        """Refuse to work beside jobs of another n, whose slices would overlap with these."""
        for path in self._others():
            found = _SLICE_LOCK.fullmatch(path.name)
            if found and int(found[1]) != part.of and self._held(path):
                raise NetralError(
                    f"{self._folder}: a job with --shard …/{found[1]} is at work there", "use the same n in every job of an array"
                )

    def _held(self, path: Path) -> bool:
        with path.open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _take(self, name: str, *, stack: ExitStack, shared: bool = False, wait: bool = False) -> None:
        path = self._folder / name
        while True:
            stream = stack.enter_context(path.open("a"))
            try:
                fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise NetralError(
                    f"{self._folder}: another job is at work on this folder",
                    "wait for it to end (a job that died holds nothing), or choose another --out",
                ) from None
            # The last holder may have removed the file between open and lock.
            if path.exists() and os.fstat(stream.fileno()).st_ino == path.stat().st_ino:
                return
