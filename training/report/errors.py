"""The wrongly labelled sentences of a split as cards: each in its article, with what it is and what it was given."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inference.pages.data import first_text, host, like_a_headline, web_address
from netral.citations.dates import article_date
from netral.errors import NetralError
from netral.pages.text import readable, whole_unicode
from netral.records import SECOND
from training.statistics.predictions import Predictions, wrong_sentences

# Sentences shown before and after: a quotation often spans more than one, as for annotators (configs/base.yaml, annotate.context).
CONTEXT = 2
# Sentences further apart than so many characters do not follow each other: between them stands what cleaning dropped, or a sentence that
# the data set lacks. In the 361 articles of `make demo` 96 % of the gaps are of at most 2, and the shortest of 4,818 sentences has 18.
_GAP = 15
_ELLIPSIS = "…"


def error_cards(data_file: Path, found: Predictions) -> list[dict[str, Any]]:
    """Build a card for each wrongly labelled sentence, the most confidently wrong first.

    Args:
        data_file: The split's Parquet file as `netral prepare` wrote it.
        found: What the model answered on it.

    Returns:
        ``key`` (digest of the sentence and the label names), ``id``, ``article``, ``start``, ``end``, ``text`` as a reader sees it and
        ``raw`` where the row is written differently; ``gold`` and ``given`` as numbers of labels, ``scores`` in that order. Where there
        is such a thing: ``second`` of a pair, ``before`` and ``after`` (with an ellipsis where text is left out), ``headline``,
        ``outlet``, ``date``.

    Raises:
        NetralError: The file cannot be read, or does not hold the sentences.
    """
    rows, articles = _read(data_file)
    cards = []
    for i in wrong_sentences(found):
        row = rows.get(found.sentence_ids[i])
        if row is None:
            raise NetralError(f"{data_file}: does not hold {found.sentence_ids[i]}", "evaluate on the data set as it is now")
        card = {**_sentence(row, found.labels), **_context(row, articles[row["article_id"]])}
        card["gold"], card["given"] = (np.flatnonzero(each[i]).tolist() for each in (found.truth, found.given))
        cards.append(card | {"scores": [round(float(score), 3) for score in found.scores[i]]})
    return cards


def error_settings(found: Predictions, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows and needs besides the cards, from what the model answered and report.json.

    Returns:
        ``labels``; ``choices`` as lists of label numbers; ``thresholds`` in the order of the labels, None where there is none; ``split``,
        ``sentences`` and how many of them are ``wrong``.
    """
    thresholds = report["model"]["thresholds"]
    return {
        "labels": list(found.labels),
        "choices": [[found.labels.index(label) for label in choice] for choice in found.choices.values()],
        "thresholds": [thresholds.get(label) for label in found.labels],
        "split": report["data"]["split"],
        "sentences": len(found),
        "wrong": len(wrong_sentences(found)),
    }


def _read(data_file: Path) -> tuple[dict[str, dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Return the split's rows by sentence id, and by article in reading order."""
    try:
        rows = pq.read_table(data_file).to_pylist()
        articles: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            articles[row["article_id"]].append(row)
        ordered = {article: sorted(each, key=lambda row: row["start"]) for article, each in articles.items()}
        return {row["sentence_id"]: row for row in rows}, ordered
    except (pa.ArrowException, OSError, KeyError) as error:
        raise NetralError(f"{data_file}: not a split of a data set ({error})", "make it with `netral prepare INPUT... --out DIR`") from None


def _sentence(row: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    text = _line(row["sentence"])
    place = [row[name] for name in ("sentence_id", "article_id", "start", "end", "sentence")] + [row.get(SECOND)]
    made = {
        # Answers are kept under it: they outlive a new model and a new split, and never meet another sentence or label set.
        "key": hashlib.sha256(json.dumps([place, list(labels)]).encode("ascii")).hexdigest()[:12],
        **{"id": row["sentence_id"], "article": row["article_id"], "start": row["start"], "end": row["end"], "text": text},
    }
    if text != row["sentence"]:
        made["raw"] = row["sentence"]
    if row.get(SECOND) is not None:
        made["second"] = _line(row[SECOND])
    return made


def _context(row: dict[str, Any], article: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the sentences around one, the headline unless it is among them, and what the record says of the article."""
    meta = _meta(row)
    day = article_date(meta)
    about: dict[str, Any] = {
        "outlet": _line(first_text(meta, "outlet")) or host(web_address(first_text(meta, "url"))),
        "date": day.isoformat() if day else "",
    }
    title = _line(first_text(meta, "title"))
    # Records of sentences without their places all begin at 0: what stands around them is not known.
    known = all(one["end"] <= other["start"] for one, other in pairwise(article))
    rows = article if known else [row]
    at = next(i for i, each in enumerate(rows) if each["sentence_id"] == row["sentence_id"])
    before, after = _joined(rows[max(at - CONTEXT, 0) : at + 1]), _joined(rows[at : at + 1 + CONTEXT])
    about |= {"before": before[:-1], "after": after[1:]}
    near = {_words(each) for each in (*before, *after)}
    first = _line(rows[0]["sentence"])
    headline = title or (first if rows[0]["start"] <= _GAP and like_a_headline(first) else "")
    about["headline"] = "" if _words(headline) in near else headline
    return {name: value for name, value in about.items() if value}


def _joined(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return sentences as a reader sees them, with an ellipsis where they do not follow each other."""
    texts = [_line(rows[0]["sentence"])]
    for one, other in pairwise(rows):
        texts += [_ELLIPSIS] if other["start"] - one["end"] > _GAP else []
        texts.append(_line(other["sentence"]))
    return texts


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


def _line(text: str) -> str:
    """Write a text as a reader sees it, without spaces at its ends."""
    return readable(text).strip()


def _meta(row: dict[str, Any]) -> dict[str, Any]:
    """Read the passed-through fields; half surrogates, which no page could hold, become U+FFFD."""
    try:
        meta = json.loads(row["meta"])
    except (ValueError, RecursionError):
        return {}
    return {name: whole_unicode(value) for name, value in meta.items() if isinstance(value, str)} if isinstance(meta, dict) else {}
