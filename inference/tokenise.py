"""From sentences, or pairs of them, to the rows of token ids that a model reads."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from netral.errors import NetralError
from netral.model_folder import ModelFolder
from netral.text import model_text

# A sentence longer than the model reads is cut into windows that share this many tokens, about a sentence of news, so that a phrase
# that one window cuts stands whole in the next.
WINDOW_OVERLAP = 32
# Between the two sentences of a pair in the key that caches know it by; readers reject texts that hold it.
_BETWEEN = "\0"
Text = str | tuple[str, str]


class Tokeniser:
    """The tokenizer of a model folder, without transformers.

    Pairs longer than the model reads lose tokens from the end of the longer sentence, as in training: windows over two sentences at
    once would have to choose which parts to compare.
    """

    def __init__(self, folder: ModelFolder) -> None:
        """Load the tokenizer.

        Raises:
            NetralError: It cannot be read.
        """
        path = folder.path / "tokenizer.json"
        try:
            self.tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the tokenizers library raises bare exceptions
            raise NetralError(f"{path}: no tokenizer can be read ({error})", "copy the model folder again, or train it again") from None
        self._pairs, self._limit = folder.serving.pairs, folder.serving.max_length
        self.tokenizer.no_padding()
        if self._pairs:
            self.tokenizer.enable_truncation(self._limit, strategy="longest_first")
        else:
            self.tokenizer.no_truncation()

    def key(self, text: Text) -> str:
        """Return what the model sees of a sentence or pair as one string; the same string means the same scores.

        Raises:
            NetralError: A pair is asked of a model for single sentences, or the other way round.
        """
        if isinstance(text, str) == self._pairs:
            wanted = "pairs: tuples of two sentences" if self._pairs else "single sentences"
            raise NetralError(f"the model reads {wanted}", "pass what it was trained on, or another model")
        return model_text(text) if isinstance(text, str) else _BETWEEN.join(model_text(part).replace(_BETWEEN, " ") for part in text)

    def rows(self, keys: Sequence[str]) -> tuple[list[list[list[int]]], set[str]]:
        """Tokenise; each text becomes one row of ids, or windows where it has more than the model reads.

        Returns:
            The rows of each text, and the texts that were cut, into windows or at the end of a sentence of a pair.
        """
        if self._pairs:
            encodings = self.tokenizer.encode_batch([tuple(key.split(_BETWEEN)) for key in keys])
            return [[encoding.ids] for encoding in encodings], {key for key, e in zip(keys, encodings, strict=True) if e.overflowing}
        rows = [self.windows(encoding.ids) for encoding in self.tokenizer.encode_batch(list(keys))]
        return rows, {key for key, each in zip(keys, rows, strict=True) if len(each) > 1}

    def windows(self, ids: list[int]) -> list[list[int]]:
        """Cut the ids of one sentence, special tokens at both ends, into windows that the model can read."""
        if len(ids) <= self._limit:
            return [ids]
        first, inner, last = ids[0], ids[1:-1], ids[-1]
        size = self._limit - 2
        step = max(1, size - WINDOW_OVERLAP)
        begins = range(0, max(len(inner) - size + step, 1), step)
        return [[first, *inner[begin : begin + size], last] for begin in begins]
