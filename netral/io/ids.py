"""Keeps ids unique within a run, in little memory."""

from array import array
from hashlib import blake2b

_TABLES = 256


class Renamer:
    """Appends ``~2``, ``~3``… to an id that was there before.

    Example:
        >>> rename = Renamer()
        >>> rename("a"), rename("b"), rename("a"), rename("a")
        ('a', 'b', 'a~2', 'a~3')
    """

    def __init__(self) -> None:
        """Start with no id seen."""
        self._seen = HashSet()
        self._repeats: dict[str, int] = {}

    def __call__(self, wanted: str) -> str:
        """Return the id, changed if it was given before."""
        if self._seen.add(wanted):
            return wanted
        count = self._repeats.get(wanted, 1) + 1
        self._repeats[wanted] = count
        return self(f"{wanted}~{count}")


class HashSet:
    """A set of texts that keeps 64 bits of each.

    Open addressing in arrays takes 11 to 21 bytes an id (13 measured at 3 million), a dict of the texts 121.
    Two of a billion ids share their 64 bits with a chance of 3 %; one of them then gets a needless ``~2``, the same in every run.
    Many small tables, each of which grows by itself: growing one large table would hold it twice.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._tables = [array("Q", bytes(8 * 8)) for _ in range(_TABLES)]
        self._counts = [0] * _TABLES

    def __contains__(self, text: str) -> bool:
        """Tell whether a text was added."""
        key = _key(text)
        table = self._tables[key % _TABLES]
        return table[_slot(table, key)] != 0

    def add(self, text: str) -> bool:
        """Add a text; tell whether it is new."""
        key = _key(text)
        number = key % _TABLES
        table = self._tables[number]
        slot = _slot(table, key)
        if table[slot]:
            return False
        table[slot] = key
        self._counts[number] += 1
        if self._counts[number] * 4 > len(table) * 3:
            self._tables[number] = _doubled(table)
        return True


def _key(text: str) -> int:
    # 0 marks an empty slot.
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


def _slot(table: "array[int]", key: int) -> int:
    """Return the slot that holds the key, or the empty one where it belongs."""
    mask = len(table) - 1
    slot = key // _TABLES & mask
    while table[slot] not in (0, key):
        slot = (slot + 1) & mask
    return slot


def _doubled(table: "array[int]") -> "array[int]":
    larger = array("Q", bytes(16 * len(table)))
    for key in table:
        if key:
            larger[_slot(larger, key)] = key
    return larger
