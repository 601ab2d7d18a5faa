"""Scores of sentences that an earlier run of the same model has scored, on disk."""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from netral.errors import NetralError

# SQLite allows 32,766 variables in a statement; a window asks for fewer keys at a time.
_KEYS_AT_ONCE = 10_000


class ScoreCache:
    """Maps texts to rounded scores. One file for each model, backend and precision; several processes may share it.

    The key is the content: a digest of the text as the model sees it. Scores are stored in thousandths, so a score from the cache
    is exactly the one that was computed.
    """

    def __init__(self, folder: Path, namespace: str, labels: int) -> None:
        """Open or make the file of one namespace.

        Raises:
            NetralError: The folder cannot be written, or the file is no cache.
        """
        self._path, self._labels = folder / f"{namespace}.sqlite", labels
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self._path, timeout=60, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        except (OSError, sqlite3.Error) as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> NetralError:
        return NetralError(f"{self._path}: cannot be used as a cache ({error})", "delete it, or choose another --cache folder")

    @staticmethod
    def _key(text: str) -> bytes:
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def get(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the scores of those texts that are there; float64, shape (labels,)."""
        keys = {self._key(text): text for text in texts}
        found: dict[str, np.ndarray] = {}
        wanted = list(keys)
        try:
            for begin in range(0, len(wanted), _KEYS_AT_ONCE):
                part = wanted[begin : begin + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(part))
                for key, value in self._db.execute(f"SELECT key, value FROM scores WHERE key IN ({marks})", part):  # noqa: S608
                    if len(value) == 2 * self._labels:
                        found[keys[key]] = np.frombuffer(value, dtype="<u2").astype(np.float64) / 1000
        except sqlite3.Error as error:
            raise self._broken(error) from None
        return found

    def put(self, scores: Mapping[str, np.ndarray]) -> None:
        """Keep scores that were rounded to three decimals."""
        rows: Iterable[tuple[bytes, bytes]] = [
            (self._key(text), np.round(value * 1000).astype("<u2").tobytes()) for text, value in scores.items()
        ]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO scores VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()
