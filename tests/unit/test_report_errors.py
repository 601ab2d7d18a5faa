"""Error cards of the report page: order, context, and what data sets without articles or with pairs have instead."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netral.errors import NetralError
from training.data.dataset import PAIR_SCHEMA, SCHEMA
from training.report.errors import error_cards, error_settings
from training.statistics.predictions import Predictions

TEXTS = ["Bupati Ingatkan ASN", *(f"Kalimat nomor {n} dari berita." for n in range(2, 8))]


def article(name: str, texts: list[str], *, title: str = "", **meta) -> list[dict]:
    """The rows of an article in which each sentence stands two characters behind the one before."""
    rows, start = [], 0
    for number, text in enumerate(texts, 1):
        row = {"article_id": name, "sentence_id": f"{name}:{number}", "start": start, "end": start + len(text), "sentence": text}
        rows.append(row | {"labels": [], "group": 0, "meta": json.dumps(meta | ({"title": title} if title else {}))})
        start += len(text) + 2
    return rows


def predictions(rows: list[dict], wrong: dict[str, tuple[list[int], list[int], list[float]]], **fields) -> Predictions:
    """What a model answered: right and empty, but for the ids in ``wrong``, which have gold, given and scores."""
    empty = ([0, 0], [0, 0], [0.1, 0.1])
    truth, given, scores = (np.array(each) for each in zip(*(wrong.get(row["sentence_id"], empty) for row in rows), strict=True))
    columns = {"sentence_ids": "sentence_id", "articles": "article_id", "groups": "group", "sentences": "sentence"}
    taken = {name: [row[column] for row in rows] for name, column in columns.items()}
    return Predictions(labels=("a", "b"), truth=truth, given=given, scores=scores, **taken, **fields)


def cards(tmp_path: Path, rows: list[dict], wrong: dict, schema: pa.Schema = SCHEMA, asked: list[dict] | None = None) -> list[dict]:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "test.parquet")
    return error_cards(tmp_path / "test.parquet", predictions(asked or rows, wrong))


def test_the_most_confident_error_comes_first_and_right_sentences_not_at_all(tmp_path):
    rows = article("x", TEXTS)
    wrong = {
        "x:1": ([1, 0], [0, 0], [0.4, 0.1]),  # wrong by 0.6
        "x:2": ([0, 0], [0, 1], [0.1, 0.9]),  # by 0.9
        "x:3": ([0, 1], [1, 1], [0.6, 0.01]),  # by 0.6 too, and later; the label that is right counts for nothing
        "x:4": ([1, 1], [0, 0], [0.3, 0.0]),  # by 1
        "x:5": ([1, 0], [1, 0], [0.2, 0.9]),  # right, whatever the scores
    }
    found = cards(tmp_path, rows, wrong)
    assert [each["id"] for each in found] == ["x:4", "x:2", "x:1", "x:3"]
    first = {name: found[0][name] for name in ("article", "start", "end", "text", "gold", "given", "scores")}
    assert first == {"article": "x", "start": 81, "end": 109, "text": TEXTS[3], "gold": [0, 1], "given": [], "scores": [0.3, 0.0]}
    assert (found[1]["gold"], found[1]["given"]) == ([], [1])


@pytest.mark.parametrize(
    ("number", "before", "after", "headline"),
    [
        (1, [], [1, 2], None),
        (2, [0], [2, 3], None),
        (3, [0, 1], [3, 4], None),  # the headline is the first of the two before
        (4, [1, 2], [4, 5], 0),
        (7, [4, 5], [], 0),
    ],
)
def test_a_sentence_stands_between_two_before_and_two_after(tmp_path, number, before, after, headline):
    rows = [*article("y", TEXTS[::-1]), *article("x", TEXTS)]
    (card,) = cards(tmp_path, rows[::-1], {f"x:{number}": ([1, 0], [0, 0], [0.4, 0.1])})  # whatever the order in the file
    assert [card.get(name, []) for name in ("before", "after")] == [[TEXTS[i] for i in each] for each in (before, after)]
    assert card.get("headline") == (None if headline is None else TEXTS[headline])


def test_a_title_of_the_record_is_the_headline_unless_it_is_near(tmp_path):
    wrong = {"x:4": ([1, 0], [0, 0], [0.4, 0.1]), "z:1": ([1, 0], [0, 0], [0.4, 0.1])}
    rows = article("x", TEXTS, title="Judul dari Rekaman") + article("z", TEXTS, title="BUPATI ingatkan ASN!")
    assert [each.get("headline") for each in cards(tmp_path, rows, wrong)] == ["Judul dari Rekaman", None]


def test_sentences_that_are_far_apart_do_not_follow_each_other(tmp_path):
    """Of articles of which some sentences are labelled the data set holds only those."""
    rows = article("x", TEXTS)
    for row in rows[3:]:  # between the third and the fourth 16 characters in all, one more than a sign or a dateline
        row |= {"start": row["start"] + 14, "end": row["end"] + 14}
    for row in rows[5:]:  # between the fifth and the sixth 15
        row |= {"start": row["start"] + 13, "end": row["end"] + 13}
    found = cards(tmp_path, rows, {f"x:{number}": ([1, 0], [0, 0], [0.4, 0.1]) for number in (3, 4, 5)})
    assert [(each.get("before"), each.get("after")) for each in found] == [
        (TEXTS[:2], ["…", *TEXTS[3:5]]),
        ([*TEXTS[1:3], "…"], TEXTS[4:6]),
        ([TEXTS[2], "…", TEXTS[3]], TEXTS[5:7]),
    ]


@pytest.mark.parametrize(
    ("first", "moved", "headline"),
    [
        ("Bupati Ingatkan ASN", 0, "Bupati Ingatkan ASN"),
        ("Bupati Ingatkan ASN", 15, "Bupati Ingatkan ASN"),
        ("Bupati Ingatkan ASN", 16, None),  # something stands before it
        ("Bupati mengingatkan ASN.", 0, None),
        ("Bupati ingatkan ASN " * 11, 0, None),  # 219 characters
    ],
)
def test_the_first_sentence_is_the_headline_only_if_it_looks_like_one(tmp_path, first, moved, headline):
    rows = article("x", [first, *TEXTS[1:]])
    for row in rows:
        row |= {"start": row["start"] + moved, "end": row["end"] + moved}
    (card,) = cards(tmp_path, rows, {"x:5": ([1, 0], [0, 0], [0.4, 0.1])})
    assert card.get("headline") == headline


def test_outlet_and_date_are_read_as_everywhere(tmp_path):
    meta = [{"Media": "Warta &amp; Kabar", "tanggal": "Senin, 18 November 2024"}, {"url": "https://www.example.org/a"}, {"outlet": 3}]
    rows = [row for i, each in enumerate(meta) for row in article(f"x{i}", TEXTS[:2], **each)]
    rows[-1]["meta"] = rows[-2]["meta"] = "[not JSON"
    found = cards(tmp_path, rows, {f"x{i}:1": ([1, 0], [0, 0], [0.4, 0.1]) for i in range(3)})
    about = [{name: each[name] for name in ("outlet", "date") if name in each} for each in found]
    assert about == [{"outlet": "Warta & Kabar", "date": "2024-11-18"}, {"outlet": "example.org"}, {}]


def test_records_without_places_have_no_context(tmp_path):
    rows = article("x", TEXTS[:3])
    for row in rows:
        row |= {"start": 0, "end": len(row["sentence"])}
    (card,) = cards(tmp_path, rows, {"x:2": ([1, 0], [0, 0], [0.4, 0.1])})
    assert not {"before", "after", "headline"} & card.keys()


def test_a_pair_has_both_sentences(tmp_path):
    rows = article("x", TEXTS[:2])
    for row in rows:
        row["sentence_2"] = "Yang&nbsp;kedua."
    (card,) = cards(tmp_path, rows, {"x:2": ([1, 0], [0, 0], [0.4, 0.1])}, PAIR_SCHEMA)
    assert (card["text"], card["second"]) == (TEXTS[1], "Yang kedua.")


def test_what_is_shown_is_readable_and_what_is_downloaded_is_the_row(tmp_path):
    rows = article("x", ["<b>&quot;ASN&quot;</b>\u00a0 netral.", TEXTS[1]])
    rows[0]["meta"] = '{"title": "setengah \\ud800"}'
    found = cards(tmp_path, rows, {row["sentence_id"]: ([1, 0], [0, 0], [0.4, 0.1]) for row in rows})
    assert (found[0]["text"], found[0]["raw"]) == ('<b>"ASN"</b> netral.', rows[0]["sentence"])
    assert found[0]["headline"] == "setengah \ufffd"
    assert "raw" not in found[1]
    json.dumps(found, ensure_ascii=False).encode("utf-8")


def test_keys_belong_to_the_sentence_and_the_label_set(tmp_path):
    rows, wrong = article("x", TEXTS), {"x:2": ([1, 0], [0, 0], [0.4, 0.1])}
    key = cards(tmp_path, rows, wrong)[0]["key"]
    again = article("x", TEXTS, title="Lain")
    again[1]["labels"] = ["a"]
    assert cards(tmp_path, again, {"x:2": ([0, 1], [0, 0], [0.9, 0.9])})[0]["key"] == key  # another model, other gold labels
    again[1]["start"] += 1
    assert cards(tmp_path, again, wrong)[0]["key"] != key
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), tmp_path / "test.parquet")
    found = predictions(rows, wrong)
    renamed = Predictions(**{name: getattr(found, name) for name in Predictions.__slots__} | {"labels": ("a", "c")})
    assert error_cards(tmp_path / "test.parquet", renamed)[0]["key"] != key


def test_a_file_that_is_not_the_split_is_refused(tmp_path):
    rows, wrong = article("x", TEXTS), {"x:2": ([1, 0], [0, 0], [0.4, 0.1])}
    with pytest.raises(NetralError, match="does not hold x:2"):
        cards(tmp_path, rows[2:], wrong, asked=rows)
    (tmp_path / "test.parquet").write_text("no Parquet")
    with pytest.raises(NetralError, match=r"test\.parquet: not a split"):
        error_cards(tmp_path / "test.parquet", predictions(rows, wrong))
    with pytest.raises(NetralError, match=r"gone\.parquet: not a split"):
        error_cards(tmp_path / "gone.parquet", predictions(rows, wrong))


def test_settings_of_the_page(tmp_path):
    rows = article("x", TEXTS)
    report = {"model": {"thresholds": {"b": 0.5}}, "data": {"split": "test"}}
    found = predictions(rows, {"x:2": ([1, 0], [0, 1], [0.4, 0.1])}, choices={"": ["a", "b"]})
    assert error_settings(found, report) == {
        "labels": ["a", "b"],
        "choices": [[0, 1]],
        "thresholds": [None, 0.5],
        "split": "test",
        "sentences": 7,
        "wrong": 1,
    }


def test_without_errors_there_is_no_card(tmp_path):
    assert cards(tmp_path, article("x", TEXTS), {}) == []
