"""Finds the fields of records that other scrapers wrote, by the names of their columns."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Compared in lower case with _ for spaces and hyphens; where a record has several, the first that is filled.
ALIASES: dict[str, tuple[str, ...]] = {
    "text": ("text", "content", "isi", "isi_berita", "konten", "body", "article_text", "full_text", "maintext", "articlebody", "artikel"),
    "title": ("title", "judul", "judul_berita", "headline"),
    "url": ("url", "link", "tautan", "canonical_url", "article_url"),
    "date": ("date", "tanggal", "publish_date", "date_publish", "published_at", "pubdate", "tanggal_terbit", "tgl", "published", "waktu"),
    "author": ("author", "penulis", "authors", "wartawan", "reporter"),
    "category": ("category", "kategori", "kanal", "rubrik", "section"),
    "outlet": ("outlet", "media", "sumber", "portal", "publisher", "source_domain", "source"),
    "crawled_at": ("crawled_at", "crawl_time", "crawl_date", "scraped_at", "date_download", "fetched_at", "retrieved_at", "waktu_crawl"),
}


def _ignored(size: int) -> None:
    """Tell nobody; a function with a name, so that a report pickles on its way through Ray."""


@dataclass(slots=True)
class ReadReport:
    """What reading found, for the summary; readers fill it in.

    Attributes:
        columns: How many rows had a field in a column of another name: ``("text", "isi")``.
        body_source: How many pages had their text from ``trafilatura`` and from ``json-ld``.
        languages: How many articles were kept out by language.
        skipped: How many WARC records were no page (requests, images, errors), by kind. They are no rows.
        on_bytes: Told how many bytes of text or JSON lines (after decompression) were read for each row.
    """

    columns: Counter[tuple[str, str]] = field(default_factory=Counter)
    body_source: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    on_bytes: Callable[[int], None] = _ignored

    def counts(self) -> dict[str, Any]:
        """Return what the summary shows; parts without a count are left out."""
        columns: dict[str, dict[str, int]] = {}
        for (name, column), count in sorted(self.columns.items()):
            columns.setdefault(name, {})[column] = count
        parts = {"body_source": self.body_source, "not_indonesian": self.languages, "skipped_records": self.skipped}
        found = {name: dict(sorted(counter.items())) for name, counter in parts.items() if counter}
        return ({"columns": columns} if columns else {}) | found


def map_columns(record: Mapping[str, Any], chosen: Mapping[Any, str], *, by_name: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
    """Rename the columns of a record to the fields that netral knows.

    Known names are looked for only in a record that lacks both `text` and `sentence`, or where ``by_name`` says so: the fields
    of netral's own records pass through as they are. A field that ``chosen`` (`read.columns`) names a column for is looked for there alone.

    Returns:
        The record, and the column of each field that was renamed.

    >>> map_columns({"isi": "ASN netral.", "Judul": "Netral", "id": 1}, {})
    ({'text': 'ASN netral.', 'title': 'Netral', 'id': 1}, {'text': 'isi', 'title': 'Judul'})
    >>> map_columns({"text": "cuplikan", "naskah": "ASN netral."}, {"text": "naskah"})
    ({'text_column': 'cuplikan', 'text': 'ASN netral.'}, {'text': 'naskah'})
    """
    by_name = by_name or not ("text" in record or "sentence" in record)
    if not (by_name or chosen):
        return dict(record), {}
    found: dict[str, str] = {name: column for name, column in chosen.items() if column in record}
    if by_name:
        columns = {
            _plain(column): column for column in reversed(list(record)) if column not in found.values() and record[column] not in (None, "")
        }
        for name, aliases in ALIASES.items():
            column = next((columns[alias] for alias in aliases if alias in columns), None)
            if name not in chosen and column is not None and not (name == "text" and "sentence" in record):
                found[name] = column
    fields = {column: name for name, column in found.items() if column != name}
    # A column that has the name of a field whose value stands elsewhere steps aside.
    renamed = {fields.get(column) or (f"{column}_column" if column in fields.values() else column): record[column] for column in record}
    return renamed, {name: column for column, name in fields.items()}


def holds_text(columns: list[str], chosen: Mapping[Any, str]) -> bool:
    """Tell whether a table with these columns has one with article text or sentences."""
    return bool(
        {"text", "sentence"} & {"text" if chosen.get("text") in columns else "", *map_columns(dict.fromkeys(columns, "x"), chosen)[0]}
    )


def _plain(column: str) -> str:
    return column.strip().lower().replace(" ", "_").replace("-", "_")
