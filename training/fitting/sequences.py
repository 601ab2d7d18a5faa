"""Packs the sentences of a crawl into token sequences of one length, in files that are mapped and never read as a whole."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from netral.config import Config
from netral.errors import NetralError
from netral.io.readers import read_files
from netral.progress import Progress
from netral.provenance import write_json
from netral.records import Reject, Sentence
from netral.text import TextStage, model_text

_COUNTS_FILE = "counts.json"
_PARTS = ("train", "held_out")
# What a position of a sequence is.
SPECIAL, FIRST_PIECE, FURTHER_PIECE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Sequences:
    """Token sequences of one length.

    Attributes:
        ids: Token ids, shape (sequences, length).
        kinds: What each position is: special token, first piece of a word, further piece of it.
    """

    ids: np.ndarray
    kinds: np.ndarray

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.ids)


@dataclass(slots=True)
class Packer:
    """Fills sequences with whole sentences and writes each to two files as it gets full.

    Every sequence starts with a whole sentence and no position is padding: a sentence that does not fit is cut at the end of one
    sequence and stands whole at the start of the next. One longer than a sequence loses its end.

    Example:
        >>> import io
        >>> ids, kinds = io.BytesIO(), io.BytesIO()
        >>> packer = Packer(ids, kinds, length=6, begin=1, end=2)
        >>> for sentence in ([11, 12, 13], [21, 22, 23], [31, 32]):
        ...     packer.add(sentence, [True] * len(sentence))
        >>> np.frombuffer(ids.getvalue(), np.int32).reshape(-1, 6).tolist()
        [[1, 11, 12, 13, 21, 2], [1, 21, 22, 23, 31, 2]]
    """

    ids_file: BinaryIO
    kinds_file: BinaryIO
    length: int
    begin: int
    end: int
    count: int = 0
    _ids: list[int] = field(default_factory=list)
    _kinds: list[int] = field(default_factory=list)

    def add(self, ids: Sequence[int], begins: Sequence[bool]) -> None:
        """Add a sentence; ``begins`` says where its words begin."""
        if not self._ids:
            self._put([self.begin], [SPECIAL])
        at_start, room = len(self._ids) == 1, self.length - 1 - len(self._ids)
        self._put(ids[:room], [FIRST_PIECE if begin else FURTHER_PIECE for begin in begins[:room]])
        if len(self._ids) == self.length - 1:
            self.end_article()
            if len(ids) > room and not at_start:
                self.add(ids, begins)

    def end_article(self) -> None:
        """Separate what follows from what came before."""
        if self._kinds and self._kinds[-1] != SPECIAL:
            self._put([self.end], [SPECIAL])
        if len(self._ids) >= self.length - 1:
            # One short of the length where an article ended there: a second end fills it.
            self._put([self.end] * (self.length - len(self._ids)), [SPECIAL] * (self.length - len(self._ids)))
            self.ids_file.write(np.array(self._ids, dtype=np.int32).tobytes())
            self.kinds_file.write(np.array(self._kinds, dtype=np.uint8).tobytes())
            self.count += 1
            self._ids, self._kinds = [], []

    def _put(self, ids: Sequence[int], kinds: Sequence[int]) -> None:
        self._ids += ids
        self._kinds += kinds


def pack_crawl(paths: Sequence[Path], folder: Path, config: Config, tokenizer: Any) -> dict[str, Any]:
    """Clean, split, tokenise and pack a crawl into ``folder``; return what was counted. Does nothing if that was done before.

    A share of the articles is held out, chosen by a digest of their text, so that copies of one article stay on one side.

    Raises:
        NetralError: There is too little text for one sequence to train on and one held out.
    """
    done = folder / _COUNTS_FILE
    if done.is_file():
        counted: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return counted
    shutil.rmtree(folder, ignore_errors=True)
    counts: Counter[str] = Counter()
    with ExitStack() as stack, Progress("pack", "rows") as progress:
        packers = {part: _packer(folder / part, stack, config.pretrain.length, tokenizer) for part in _PARTS}
        stage, before = TextStage(config.text), ""
        for row in read_files(paths, config.read):
            progress.advance(1)
            if isinstance(row, Reject):
                counts["rejects"] += 1
                continue
            if isinstance(row, Sentence):
                # Rows that are sentences follow each other within their article.
                article, key, sentences = row.article_id, row.article_id, [row.text]
            else:
                article, key, sentences = row.id, row.text, [sentence.text for sentence in stage.run(row).sentences]
            if article != before:
                for packer in packers.values():
                    packer.end_article()
            before = article
            counts["rows"] += 1
            part = _part(key, config.pretrain.held_out, config.pretrain.seed)
            counts["tokens"] += _add(sentences, packers[part], tokenizer)
        for part, packer in packers.items():
            counts[f"{part}_sequences"] = packer.count
    if not counts["train_sequences"] or not counts["held_out_sequences"]:
        raise NetralError(
            f"{counts['tokens']} tokens in the input: too few for a sequence of {config.pretrain.length} to train on and one held out",
            "pass more text, or set pretrain.length lower or pretrain.held_out higher",
        )
    write_json(done, dict(sorted(counts.items())))
    return dict(sorted(counts.items()))


def open_sequences(folder: Path, part: str, length: int) -> Sequences:
    """Map the sequences of one part, `train` or `held_out`."""
    ids = np.memmap(folder / part / "ids.bin", dtype=np.int32, mode="r")
    kinds = np.memmap(folder / part / "kinds.bin", dtype=np.uint8, mode="r")
    return Sequences(ids.reshape(-1, length), kinds.reshape(-1, length))


def _packer(folder: Path, stack: ExitStack, length: int, tokenizer: Any) -> Packer:
    folder.mkdir(parents=True)
    files = [stack.enter_context((folder / f"{name}.bin").open("wb")) for name in ("ids", "kinds")]
    return Packer(files[0], files[1], length, tokenizer.cls_token_id, tokenizer.sep_token_id)


def _part(text: str, share: float, seed: int) -> str:
    digest = hashlib.sha256(f"{seed}\0{text}".encode("utf-8", "surrogatepass")).digest()
    return "held_out" if int.from_bytes(digest[:8], "big") < share * 2**64 else "train"


def _add(sentences: Sequence[str], packer: Packer, tokenizer: Any) -> int:
    if not sentences:
        return 0
    encodings = tokenizer([model_text(sentence) for sentence in sentences], add_special_tokens=False).encodings
    for encoding in encodings:
        words = encoding.word_ids
        packer.add(encoding.ids, [True, *(before != word for before, word in pairwise(words))][: len(words)])
    return sum(len(encoding.ids) for encoding in encodings)
