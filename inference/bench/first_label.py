"""Loads one system in a fresh process, labels one sentence, tells when, then labels the others: called by inference.bench.speed."""

import json
import sys
import time
from pathlib import Path

from inference.backends import Variant
from inference.bench.systems import NETRAL, Place, loaders


def main() -> None:
    """Take the system's name, the model folder, a folder of exports without a gate, an ONNX file (both may be ""), and sentences."""
    name, model, raw, onnx, sentences_file = sys.argv[1:]
    # Not Place.of: it reads every export of the folder to check it, which a system that starts does for its own only.
    ours = name.startswith(NETRAL)
    variants = (Variant(*name.removeprefix(NETRAL).split("-")),) if ours else ()
    place = Place(Path(model), variants, Path(raw) if raw else None, Path(onnx) if onnx else None)
    system = loaders(place)[name]()
    sentences = json.loads(Path(sentences_file).read_text(encoding="utf-8"))
    system.label(sentences[:1])
    print(time.monotonic())
    system.label(sentences[1:])


if __name__ == "__main__":
    main()
