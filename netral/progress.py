"""Progress and news of long work, always on standard error: a live line on a terminal, plain or JSON lines elsewhere."""

import json
import sys
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

_LOG_EVERY_S = 30.0
LOGS = ("auto", "json")
_as_json = False


def use_log(kind: str) -> None:
    """Choose how the process reports: ``auto`` (for people) or ``json`` (one object a line, also for errors)."""
    global _as_json
    _as_json = kind == "json"


def say(text: str, level: str = "info", **fields: Any) -> None:
    """Report one piece of news; ``fields`` stand beside the text in JSON lines only."""
    if _as_json:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        text = json.dumps({"time": now, "level": level, "message": text, **fields}, ensure_ascii=False)
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Counts work done; use as a context manager.

    Example:
        >>> with Progress("label", "sentences") as progress:
        ...     progress.advance(10)
    """

    def __init__(self, what: str, unit: str, total: int | None = None, total_bytes: int | None = None) -> None:
        """Name the work and its unit; a total, or else that of the input's bytes, gives the time left."""
        self._what, self._unit, self._total, self._total_bytes = what, unit, total, total_bytes
        self._done = self._bytes = self._skipped_bytes = 0
        self._begun = self._logged = time.monotonic()
        self._live = None
        if sys.stderr.isatty() and not _as_json:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[state]}"))
            self._live = RichProgress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._live.add_task(what, total=1.0 if total or total_bytes else None, state="")

    def __enter__(self) -> "Progress":
        """Start showing."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop showing."""
        if self._live:
            self._live.stop()

    def advance(self, count: int, size: int = 0) -> None:
        """Add work done, and the bytes of input that it came from."""
        self._done += count
        self._bytes += size
        if self._live:
            self._live.update(self._task, completed=self._share(), state=self._state())
            return
        now = time.monotonic()
        if now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            fields: dict[str, Any] = {
                "done": self._done,
                "unit": self._unit,
                "per_second": round(self._rate(), 1),
                "seconds_left": self._seconds_left(),
            }
            say(f"{self._what}: {self._state()}", event="progress", **fields)

    def skip(self, size: int) -> None:
        """Leave out bytes of input that an earlier run has done; they tell nothing of the rate."""
        self._skipped_bytes += size

    def say(self, line: str) -> None:
        """Show one line of news and keep it on the screen."""
        if self._live:
            self._live.console.print(f"{self._what}: {line}", highlight=False)
        else:
            say(f"{self._what}: {line}")

    def _seconds(self) -> float:
        return max(time.monotonic() - self._begun, 1e-9)

    def _rate(self) -> float:
        return self._done / self._seconds()

    def _share(self) -> float:
        if self._total:
            return self._done / self._total
        return (self._bytes + self._skipped_bytes) / self._total_bytes if self._total_bytes else 0.0

    def _seconds_left(self) -> int | None:
        done, total = (self._done, self._total) if self._total else (self._bytes, (self._total_bytes or 0) - self._skipped_bytes)
        return round(self._seconds() * max(total - done, 0) / done) if done and (self._total or self._total_bytes) else None

    def _state(self) -> str:
        of = f" of {self._total}" if self._total else ""
        left = self._seconds_left()
        time_left = f", {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left" if left is not None else ""
        return f"{self._done}{of} {self._unit}, {self._rate():.0f}/s{time_left}"
