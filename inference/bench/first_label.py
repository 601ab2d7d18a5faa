"""Loads one system in a fresh process, labels one sentence, tells when, then labels the others: called by inference.bench.speed."""

import json
import sys
import time
from pathlib import Path

from inference.bench.systems import Place, loaders


def main() -> None:
    """Take the system's name, the model folder, a folder of exports without a gate or "", and a file of sentences."""
    name, model, raw, sentences_file = sys.argv[1:]
    system = loaders(Place.of(model, raw))[name]()
    sentences = json.loads(Path(sentences_file).read_text(encoding="utf-8"))
    system.label(sentences[:1])
    print(time.monotonic())
    system.label(sentences[1:])


if __name__ == "__main__":
    main()
