"""From an article to its sentences: normalise, clean, split, drop repeats, map back to the source."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from netral.config import TextSettings
from netral.records import Article, Drop, Reject, Sentence
from netral.text.clean import Cleaner
from netral.text.normalise import normalise
from netral.text.split import Splitter

_WORD = re.compile(r"\w+")
# A shorter sentence may well stand twice in an article (`"Ya," katanya.`); the longer repeats read in a sample of 3,000
# crawled articles were repeated bodies, teasers and pull quotes.
_REPEAT_CHARS = 40
_OUTLET_CHARS = 25


@dataclass(frozen=True, slots=True)
class ArticleText:
    """What the text stage makes of one article."""

    sentences: list[Sentence]
    drops: list[Drop]


class TextStage:
    r"""Cleans and splits articles; the same settings always give the same sentences.

    Example:
        >>> stage = TextStage(TextSettings())
        >>> out = stage.run(Article("a.txt", 1, "a", "ASN netral.Ia pergi.\nBaca juga: Judul"))
        >>> [(s.sentence_id, s.text) for s in out.sentences], [d.rule for d in out.drops]
        ([('a:1', 'ASN netral.'), ('a:2', 'Ia pergi.')], ['teaser'])
    """

    def __init__(self, settings: TextSettings) -> None:
        """Prepare the cleaner and splitter for these settings."""
        self._cleaner = Cleaner(tuple(settings.disabled_rules))
        self._body_repeats = "body_repeat" not in settings.disabled_rules
        self._title_repeats = "title_repeat" not in settings.disabled_rules
        self._splitter = Splitter()

    def run(self, article: Article) -> ArticleText:
        """Return the sentences of an article in order, and what was dropped.

        Offsets count characters of ``article.text``; ``article.text[s.start:s.end] == s.text`` for each sentence.
        """
        normalised = normalise(article.text)
        text = normalised.text
        sentences: list[Sentence] = []
        drops: list[Drop] = []
        repeats = _Repeats(article.title)

        def drop(start: int, end: int, rule: str) -> None:
            a, b = normalised.source_span(start, end)
            drops.append(Drop(a, b, rule, article.text[a:b]))

        for block in self._cleaner.spans(text):
            if block.rule:
                drop(block.start, block.end, block.rule)
                continue
            if self._title_repeats and repeats.is_title_again(text[block.start : block.end]):
                drop(block.start, block.end, "title_repeat")
                continue
            for start, end in self._splitter.spans(text, block.start, block.end, headline=not sentences):
                if repeats.is_repeat(text[start:end]) and self._body_repeats:
                    drop(start, end, "body_repeat")
                    continue
                a, b = normalised.source_span(start, end)
                number = len(sentences) + 1
                sentence_id, words = f"{article.id}:{number}", article.text[a:b]
                sentences.append(
                    Sentence(article.file, article.row, article.id, sentence_id, a, b, words, article.meta, provenance=article.provenance)
                )
        return ArticleText(sentences, drops)


def no_sentences(article: Article, drops: Sequence[Drop]) -> Reject:
    """Return the reject of an article of which cleaning left nothing."""
    rules = ", ".join(sorted({drop.rule for drop in drops}))
    return Reject(article.file, article.row, "no_sentences", f"nothing left after cleaning ({rules})", article.id)


class _Repeats:
    """Recognises sentences that the crawl delivered before in the same article."""

    def __init__(self, title: str) -> None:
        self._title = _key(title)
        self._title_seen = False
        self._seen: set[str] = set()
        self._in_repeat = False

    def is_title_again(self, block: str) -> bool:
        """Recognise a repeat of the headline, also as a page title with the outlet (`ASN Wajib Netral - Warta Lawu`)."""
        if not self._title_seen or len(block) > len(self._title) + 2 * _OUTLET_CHARS:
            return False
        key = _key(block)
        # A very short title may well begin a real sentence.
        longer = len(self._title) >= _OUTLET_CHARS and key.startswith(self._title + " ") and len(key) - len(self._title) <= _OUTLET_CHARS
        return key == self._title or longer

    def is_repeat(self, sentence: str) -> bool:
        """Tell whether this sentence, or the repeated body that it stands in, was there before."""
        key = _key(sentence)
        if not self._title and not self._seen and sentence[-1:].isalnum():
            # Without a title field a first line without a full stop stands in for it.
            self._title = key
        self._title_seen = self._title_seen or key == self._title
        # Inside a repeated body the short sentences are repeats too.
        self._in_repeat = key in self._seen and (self._in_repeat or len(sentence) >= _REPEAT_CHARS)
        self._seen.add(key)
        return self._in_repeat


def _key(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))
