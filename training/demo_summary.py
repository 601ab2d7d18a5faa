"""Prints what `make demo` made: the figures, and where everything lies."""

import json
import sys
from pathlib import Path

from netral.tables import print_table
from training.report.figures import errors_link
from training.report.markdown import table_rows, verdict, weakest_label, weakest_line


def main(folder: Path) -> None:
    """Print the summary of a demo folder."""
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    labelled = json.loads((folder / "labelled.jsonl.summary.json").read_text(encoding="utf-8"))
    data, counts = report["data"], labelled["counts"]
    print(f"\nF1 on the held-out test split ({data['sentences']} sentences of {data['articles']} articles), with 95 % intervals")
    print_table(table_rows(report), stderr=False)
    print("\n".join([*verdict(report), *weakest_line(report)]))
    print(f"Speed: {report['speed']['sentences_per_second']:.0f} sentences per second on this machine ({report['speed']['backend']}).")
    print(f"Labelled {counts['sentences_out']} sentences of {counts['articles']} articles.\n")
    for name, what in (
        ("data", "the data set, with leak_audit.json and rejects.jsonl"),
        ("model", "the fine-tuned model (embedded encoder, not IndoBERT)"),
        ("report", "the evaluation, for people and programs"),
        ("labelled.jsonl", "the labelled articles, one sentence a line"),
    ):
        print(f"  {(folder / name).as_posix():<24}  {what}")
    report_page, articles_page = ((folder / name).resolve().as_uri() for name in ("report/report.html", "labelled.html"))
    print("\nOpen in a browser:")
    if label := weakest_label(report):
        print(f"  the errors in {label}, in their articles:  {report_page}{errors_link(label)}")
    print(f"  the whole report:  {report_page}")
    print(f"  the labelled articles, to read or to correct:  {articles_page}")
    print(f"Put what you corrected and downloaded there into {(folder / 'corrections').as_posix()}/ and type `make demo` again.")
    print("Label your own:  make demo ARTICLES=folder, or .venv/bin/netral label folder --out labelled.jsonl")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
