"""Sentences for tasks other than the built-in one, written for these tests: reviews of offices, and pairs of them."""

import csv
from pathlib import Path

_PLACES = (
    "kantor kelurahan, loket pajak, balai desa, puskesmas kota, dinas kependudukan, samsat keliling, ruang tunggu, kantor camat".split(", ")
)
_DAYS = "Senin Selasa Rabu Kamis Jumat".split()
_QUEUE = {"baik": "antreannya cepat", "buruk": "antreannya lama sekali", "netral": "antreannya tidak sempat kami lihat"}
_STAFF = {"baik": "petugasnya ramah", "buruk": "petugasnya ketus", "netral": "petugasnya sedang rapat"}
ASPECTS = {"antrean": ["baik", "netral", "buruk"], "petugas": ["baik", "netral", "buruk"]}
VALUES = ASPECTS["antrean"]


def reviews(count: int, begin: int = 0) -> list[dict[str, str]]:
    """Reviews with a value for each of two aspects, and one for the whole: that of the queue."""
    rows = []
    for i in range(begin, begin + count):
        queue, staff = VALUES[i % 3], VALUES[(i // 3 + i) % 3]
        text = f"Pada hari {_DAYS[i % 5]} di {_PLACES[i % 8]} nomor {i}, {_QUEUE[queue]} dan {_STAFF[staff]}."
        rows.append({"ulasan": text, "nilai": queue, "antrean": queue, "petugas": staff})
    return rows


def pairs(count: int, begin: int = 0) -> list[dict[str, str]]:
    """Pairs of sentences: the second says the same of the queue as the first, or something else."""
    rows = []
    for i, row in enumerate(reviews(count, begin)):
        same = i % 2 == 0
        said = row["antrean"] if same else VALUES[(VALUES.index(row["antrean"]) + 1) % 3]
        rows.append({"a": row["ulasan"], "b": f"Di sana {_QUEUE[said]}.", "jawaban": "sama" if same else "beda"})
    return rows


def write_csv(path: Path, rows: list[dict[str, str]], columns: list[str], *, header: bool = True, delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", delimiter=delimiter)
        if header:
            writer.writeheader()
        writer.writerows(rows)
    return path
