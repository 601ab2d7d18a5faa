"""The gold corpus keeps its promises: size, spread, no templates, offsets that hold."""

import re
from collections import Counter, defaultdict
from itertools import pairwise

from netral.labels import LABELS
from training.data.near_duplicates import group_articles


def words(text):
    return re.findall(r"\w+", text.lower())


def test_size_and_spread(gold_articles, gold_labels):
    count = Counter(label for row in gold_labels for label in row["labels"])
    assert len(gold_articles) >= 260
    assert len(gold_labels) >= 3000
    assert all(count[label] >= 350 for label in LABELS)
    assert set(count) == set(LABELS)
    assert sum(not row["labels"] for row in gold_labels) >= 0.6 * len(gold_labels)
    topics = Counter(row["topic"] for row in gold_articles)
    assert topics["on"] >= 200
    assert topics["off"] >= 100
    assert sum(row["noise"] for row in gold_articles) >= len(gold_articles) / 3
    assert {row["genre"] for row in gold_articles} == {"wire", "portal", "press_release", "explainer"}


def test_off_topic_articles_hold_nothing_but_references(gold_articles, gold_labels):
    off = {row["id"] for row in gold_articles if row["topic"] == "off"}
    found = {label for row in gold_labels if row["article_id"] in off for label in row["labels"]}
    assert found <= {"regulation_reference"}


def test_every_label_row_is_a_slice_of_its_article(gold_articles, gold_labels):
    text = {row["id"]: row["text"] for row in gold_articles}
    assert len(text) == len(gold_articles)
    spans = defaultdict(list)
    for row in gold_labels:
        assert text[row["article_id"]][row["start"] : row["end"]] == row["sentence"]
        spans[row["article_id"]].append((row["start"], row["end"]))
    assert set(spans) == set(text)
    for found in spans.values():
        assert all(a[1] <= b[0] for a, b in pairwise(found))


def test_no_near_copies(gold_labels):
    """No article shares a near-duplicate sentence with another, and no sentence stands twice."""
    sentences = [row["sentence"] for row in gold_labels]
    groups = group_articles(sentences, [row["article_id"] for row in gold_labels], 0.6)
    assert len(set(groups)) == len({row["article_id"] for row in gold_labels})
    long = [" ".join(words(sentence)) for sentence in sentences if len(sentence) >= 40]
    assert len(set(long)) == len(long)


def test_no_sentence_frame_more_than_twice(gold_labels):
    """No six words open more than two sentences."""
    openings = Counter(" ".join(words(row["sentence"])[:6]) for row in gold_labels if len(words(row["sentence"])) >= 8)
    assert max(openings.values()) <= 2
