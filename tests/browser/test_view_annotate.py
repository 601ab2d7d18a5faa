"""The annotate view in a real browser, opened from disk: answers given, kept, and downloaded."""

import json
from pathlib import Path

import pytest
from support import downloaded, labelled_output
from view_pages import ARTICLES, make_output, shown

from inference.pages.view import view


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return make_output(tmp_path)


@pytest.fixture
def annotate(output: Path) -> Path:
    view(str(output), output.with_suffix(".html"), annotator="Sari W.")
    return output.with_suffix(".html")


def undecided(page) -> str:
    return page.locator("#undecided").inner_text()


def test_keys_give_labels_and_nothing_is_lost_on_reload(annotate, open_page, tmp_path):
    page = open_page(annotate)
    page.wait_for_selector("article")
    assert undecided(page) == "8 of 8 sentences undecided"
    page.keyboard.press("Enter")  # to the first undecided
    page.keyboard.press("Enter")  # the headline's labels are right
    page.keyboard.press("2")  # the next has a sanction too
    page.keyboard.press("n")
    page.keyboard.press("0")  # no label after all
    assert undecided(page) == "5 of 8 sentences undecided"
    page.reload()
    page.wait_for_selector("article")
    assert undecided(page) == "5 of 8 sentences undecided"
    assert page.locator(".s.decided").count() == 3
    rows = {row["sentence_id"]: row for row in map(json.loads, annotate.with_suffix(".jsonl").read_text().splitlines())}
    expected = [("satu:1", ["warning"]), ("satu:2", ["warning", "sanction_threat", "regulation_reference"]), ("satu:3", [])]
    assert downloaded(page, "Download answers", tmp_path) == [
        {key: rows[each][key] for key in ("sentence_id", "article_id", "start", "end", "sentence")}
        | {"labels": labels, "annotator": "Sari W."}
        for each, labels in expected
    ]


def test_keys_decide_nothing_that_a_filter_hides(annotate, open_page):
    page = open_page(annotate)
    page.wait_for_selector("article")
    page.keyboard.press("n")
    assert page.locator("#dock p").inner_text() == page.locator(".s.selected").evaluate("node => node.firstChild.textContent")
    page.fill("#query", "mengungsi")
    page.wait_for_function("document.querySelectorAll('article').length === 1")
    assert page.locator("#dock").is_hidden()
    page.keyboard.press("Enter")  # to the hit, out of the field
    assert "mengungsi" in page.locator("#dock p").inner_text()
    page.keyboard.press("1")
    assert undecided(page) == "7 of 8 sentences undecided"
    assert "mengungsi" in page.locator(".s.decided").inner_text()


def test_the_page_says_what_labels_mean_and_what_to_do_with_answers(annotate, open_page, tmp_path):
    page = open_page(annotate)
    page.get_by_text("What the labels mean").click()
    assert page.locator(".meanings dt").all_inner_texts() == ["warning", "sanction_threat", "permission", "regulation_reference"]
    page.get_by_role("button", name="Download answers").click()  # nothing is decided: no file
    assert page.locator("#then").get_attribute("open") is None
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    downloaded(page, "Download answers", tmp_path)
    assert "runs/demo/corrections/" in page.locator("#then").inner_text()


def test_answers_fit_the_source(annotate, open_page, tmp_path):
    page = open_page(annotate)
    page.wait_for_selector("article")
    for _ in range(9):
        page.keyboard.press("Enter")
    assert undecided(page) == "0 of 8 sentences undecided"
    text = {each["id"]: each["text"] for each in ARTICLES}
    found = downloaded(page, "Download answers", tmp_path)
    assert len(found) == 8
    # Characters as Python counts them, emoji and entities included.
    assert all(text[row["article_id"]][row["start"] : row["end"]] == row["sentence"] for row in found)
    assert "&quot;akan&quot;" in found[2]["sentence"]


def test_an_answer_can_be_changed_and_taken_back(annotate, open_page, tmp_path):
    page = open_page(annotate)
    page.locator(".s", has_text="mengungsi").click()
    page.get_by_role("button", name="3 permission").click()
    page.keyboard.press("1")
    assert downloaded(page, "Download answers", tmp_path)[0]["labels"] == ["warning", "permission"]
    page.keyboard.press("3")
    assert downloaded(page, "Download answers", tmp_path)[0]["labels"] == ["warning"]
    page.keyboard.press("u")
    assert undecided(page) == "8 of 8 sentences undecided"
    page.get_by_role("button", name="Download answers").click()
    page.locator("#toast", has_text="Nothing is decided yet.").wait_for()


def test_next_and_previous_undecided(annotate, open_page):
    page = open_page(annotate)
    page.locator(".s", has_text="mengungsi").click()
    page.keyboard.press("0")
    page.keyboard.press("p")
    assert page.locator(".s.selected").inner_text().startswith("Hujan deras")
    page.keyboard.press("n")  # passes the decided one
    assert page.locator(".s.selected").inner_text().startswith("Pegawai berhak")
    page.get_by_label("only articles with undecided").check()
    assert shown(page) == ["satu", "dua", "tiga"]


def test_answers_belong_to_one_annotator_and_to_these_sentences(annotate, output, open_page, tmp_path):
    page = open_page(annotate)
    page.wait_for_selector("article")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    # Another model's labels for the same sentences: the answer stands.
    labelled_output(tmp_path / "crawl.jsonl", output, {})
    for name, annotator, decided in (("same", "Sari W.", 1), ("other", "Budi", 0)):
        view(str(output), tmp_path / f"{name}.html", annotator=annotator)
        other = open_page(tmp_path / f"{name}.html", context=page.context)
        other.wait_for_selector("article")
        assert undecided(other) == f"{8 - decided} of 8 sentences undecided"


def test_two_tabs_share_their_answers(annotate, open_page):
    page = open_page(annotate)
    page.wait_for_selector("article")
    other = open_page(annotate, context=page.context)
    other.wait_for_selector("article")
    other.keyboard.press("Enter")
    other.keyboard.press("Enter")
    page.locator("#undecided", has_text="7 of 8").wait_for()


def test_a_browser_that_keeps_nothing_says_so(annotate, open_page):
    page = open_page(annotate, script="Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };")
    page.wait_for_selector("article")
    assert not page.locator("#warning").is_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert "download them before" in page.locator("#warning").inner_text()


def test_rubbish_in_the_storage_is_left_out(annotate, open_page):
    page = open_page(annotate)
    page.wait_for_selector("article")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.evaluate('for (const key of Object.keys(localStorage)) localStorage[key] = \'{"0":[9],"1":"x","2":[1]}\'')
    page.reload()
    page.wait_for_selector("article")
    assert undecided(page) == "7 of 8 sentences undecided"
