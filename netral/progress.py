"""Progress of long work: a live line on a terminal, plain log lines elsewhere, always on standard error."""

import sys
import time
from types import TracebackType

_LOG_EVERY_S = 30.0


class Progress:
    """Counts work done; use as a context manager.

    Example:
        >>> with Progress("label", "sentences") as progress:
        ...     progress.advance(10)
    """

    def __init__(self, what: str, unit: str, total: int | None = None) -> None:
        """Name the work and its unit; ``total`` is given where it is known."""
        self._what, self._unit, self._total = what, unit, total
        self._done = 0
        self._begun = self._logged = time.monotonic()
        self._live = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn())
            self._live = RichProgress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._live.add_task(what, total=total)

    def __enter__(self) -> "Progress":
        """Start showing."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop showing."""
        if self._live:
            self._live.stop()

    def advance(self, count: int) -> None:
        """Add work done."""
        self._done += count
        if self._live:
            self._live.update(self._task, advance=count)
            return
        now = time.monotonic()
        if now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            rate = self._done / max(now - self._begun, 1e-9)
            of = f" of {self._total}" if self._total else ""
            print(f"{self._what}: {self._done}{of} {self._unit}, {rate:.0f}/s", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Show one line of news and keep it on the screen."""
        if self._live:
            self._live.console.print(f"{self._what}: {line}", highlight=False)
        else:
            print(f"{self._what}: {line}", file=sys.stderr, flush=True)
