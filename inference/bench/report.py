"""Prints tables, and writes them between two marks of a Markdown file."""

import platform
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from inference.bench.common import Table
from inference.host import allowed_cores
from netral.errors import NetralError
from netral.tables import print_table

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
# What decides which integer and bf16 products a processor has.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_LIBRARIES = (
    "netral",
    "torch",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "datasets",
    "onnxruntime",
    "openvino",
    "nncf",
    "numpy",
)


@dataclass(slots=True)
class Report:
    """The tables of a run, in order."""

    parts: list[str] = field(default_factory=list)

    def add(self, title: str, table: Table, *notes: str) -> None:
        """Print a table and keep it; one with nothing but its header is left out."""
        if len(table) < 2:
            return
        print(f"\n{title}", flush=True)
        print_table(table, stderr=False)
        for note in notes:
            print(note, flush=True)
        self.parts.append("\n".join([f"### {title}", "", *_markdown(table), *(line for note in notes for line in ("", note))]))

    def write(self, path: Path) -> None:
        """Put the tables between the marks of a file.

        Raises:
            NetralError: The file has no marks.
        """
        before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN) if path.is_file() else ("", "", "")
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise NetralError(f"{path}: no place for the figures", f"write a line {BEGIN} and a line {END} into it")
        path.write_text(f"{before}{begin}\n\n" + "\n\n".join(self.parts) + f"\n\n{end}{after}", encoding="utf-8")


def _markdown(table: Table) -> list[str]:
    head, *rows = ([cell.replace("|", "\\|") for cell in row] for row in table)
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def machine_table(rounds: int) -> Table:
    """Describe the machine, the versions and the run."""
    cpu, flags = _processor()
    versions = [f"Python {platform.python_version()}"]
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    return [
        ["what", "value"],
        ["processor", f"{cpu}, {allowed_cores()} cores used"],
        ["instructions", " ".join(flag for flag in _FLAGS if flag in flags) or "unknown"],
        ["versions", ", ".join(versions)],
        ["date", datetime.now(UTC).date().isoformat()],
        ["figures", f"medians of {rounds} interleaved rounds after one that is not counted"],
    ]


def _processor() -> tuple[str, set[str]]:
    found: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    name = found.get("model name", platform.processor())
    model = f" (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else ""
    return name + model, set(found.get("flags", "").split())
