"""The errors of the report page where they are many, hostile or none, and on small and dark screens."""

import json
import re
from itertools import pairwise

import pytest
from error_pages import error_page, write_page

from netral.labels import LABELS

ATTACKS = (
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 1</script><!--<script>",
    "<img src=x onerror='window.pwned = 1'>",
    "\"'><a href='javascript:window.pwned = 1'>a</a>",
    "{{ 7 * 7 }}${7 * 7} {% raw %}",
    "\u202eterbalik \u2067 sekali \u2028 \u2029 \ufffd \x00 \x1b[31m",
    "panjang" * 2000,
)


def settings(wrong: int, labels=LABELS) -> dict:
    return {"labels": list(labels), "choices": [], "thresholds": [0.5] * len(labels), "split": "test", "sentences": 9000, "wrong": wrong}


def card(number: int, **fields) -> dict:
    text = f"Kalimat ke-{number} tentang pegawai."
    place = {"key": f"{number:012x}", "id": f"a{number}:1", "article": f"a{number}", "start": 0, "end": len(text), "text": text}
    return place | {"gold": [number % 4], "given": [], "scores": [0.1] * 4} | fields


def test_thousands_of_errors_are_drawn_twenty_at_a_time(tmp_path, open_page, monkeypatch):
    cards = [card(i, before=["Sebelum itu."] * 2, after=["Sesudah itu."] * 2) for i in range(3000)]
    page = open_page(write_page(tmp_path / "p.html", cards, settings(3000), monkeypatch))
    page.wait_for_selector(".error")
    more = page.locator("#errors-more")
    assert (page.locator(".error").count(), more.inner_text()) == (20, "Show 20 more (2,980 left)")
    more.click()
    assert page.locator(".error").count() == 40
    for _ in range(41):
        page.keyboard.press("j")  # past the last that is drawn
    assert page.locator(".error").count() == 60
    assert page.locator(".error.selected .facts > code").inner_text() == "a40:1"
    page.get_by_label("Search").fill("ke-2999")
    assert page.locator(".error .facts > code").all_inner_texts() == ["a2999:1"]
    assert not more.is_visible()
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name="warning", exact=True).click()
    assert page.locator("#errors-shown").inner_text() == "750 of 3,000 sentences"
    assert page.locator(".error").count() == 20


def test_keys_decide_no_card_that_is_not_drawn(tmp_path, open_page, monkeypatch):
    page = open_page(write_page(tmp_path / "p.html", [card(i) for i in range(30)], settings(30), monkeypatch))
    page.wait_for_selector(".error")
    for _ in range(26):
        page.keyboard.press("j")
    assert page.locator(".error.selected .facts > code").inner_text() == "a25:1"
    page.get_by_label("only those not looked at").check()  # all thirty still, of which twenty are drawn
    assert page.locator(".error").count() == 20
    for key in "mgu1c":
        page.keyboard.press(key)
    assert page.locator("#errors-done").inner_text() == "0 of 30 looked at, 0 labels changed"
    page.keyboard.press("j")
    assert page.locator(".error.selected .facts > code").inner_text() == "a0:1"
    page.get_by_label("Search").fill("ke-0")
    assert page.locator(".error.selected").count() == 1  # one that is drawn stays selected
    page.get_by_label("only those not looked at").focus()
    page.keyboard.press("m")
    assert page.locator("#errors-done").inner_text() == "1 of 30 looked at, 1 label changed"


def test_hostile_text_runs_nothing_and_breaks_no_layout(tmp_path, open_page, monkeypatch):
    cards = []
    for i, attack in enumerate(ATTACKS):
        texts = dict.fromkeys(("text", "raw", "second", "headline", "outlet", "date", "article", "id"), attack)
        cards.append(card(i, **texts, before=[attack], after=[attack], scores=[0.9] * len(ATTACKS)) | {"gold": [i], "given": [0]})
    cards[0]["given"] = [1]
    page = open_page(
        write_page(tmp_path / "p.html", cards, settings(len(cards), ATTACKS), monkeypatch), viewport={"width": 390, "height": 800}
    )
    page.wait_for_selector(".error")
    for i in range(len(ATTACKS)):
        node = page.locator(".error").nth(i)
        node.locator(".choice").nth(i).click()
        node.locator("summary").click()
        node.get_by_role("button", name="Copy the id").click()
    page.get_by_label("Search").fill(ATTACKS[2])
    page.locator("#errors-pick button").nth(5).click()
    page.locator("#errors-pick button").first.click()
    page.evaluate("location.hash = '#errors=<img src=x onerror=window.pwned=1>'")
    page.locator("#errors-steps > summary").click()
    page.get_by_label("annotator").fill(ATTACKS[1])
    with page.expect_download() as download:
        page.get_by_role("button", name="Download corrections").click()
    lines = [json.loads(line) for line in download.value.path().read_text(encoding="utf-8").split("\n")[:-1]]
    assert [row["sentence"] for row in lines] == list(ATTACKS)
    assert lines[0]["annotator"] == ATTACKS[1][:80]
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.locator("img, iframe, .error a, .error script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_marks_of_direction_end_with_their_sentence(tmp_path, open_page, monkeypatch):
    cards = [card(0, text="netral \u202e sekali", before=["Satu \u202e dua."], after=["Tiga."])]
    page = open_page(write_page(tmp_path / "p.html", cards, settings(1), monkeypatch))
    page.wait_for_selector(".error")
    boxes = [each.bounding_box() for each in page.locator(".text > *").all()]
    assert len(boxes) == 3
    assert all(a["x"] + a["width"] <= b["x"] for a, b in pairwise(boxes))  # in reading order on one line


def test_a_phone_shows_everything_in_its_width(tmp_path, open_page, monkeypatch):
    page = open_page(error_page(tmp_path, monkeypatch), viewport={"width": 390, "height": 800})
    page.wait_for_selector(".error")
    steps = page.locator("#errors-steps")
    assert not steps.evaluate("e => e.open")
    page.locator(".error summary").first.click()
    page.get_by_role("link", name="What then?").click()
    assert steps.locator("pre").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    bar = page.locator("#errors-bar").bounding_box()
    assert bar["y"] + bar["height"] <= 800
    assert bar["height"] < 120


def test_light_and_dark(tmp_path, open_page, monkeypatch):
    file = error_page(tmp_path, monkeypatch)
    looks = []
    for scheme in ("light", "dark"):
        page = open_page(file, color_scheme=scheme)
        page.wait_for_selector(".error")
        found = page.locator(".error").first.evaluate("e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]")
        looks.append([int(re.findall(r"\d+", colour)[0]) for colour in found])
    (light_ground, light_ink), (dark_ground, dark_ink) = looks
    assert light_ground > 200 > light_ink
    assert dark_ground < 100 < dark_ink


@pytest.mark.parametrize("javascript", [True, False])
def test_without_errors_the_page_says_so(tmp_path, open_page, monkeypatch, javascript):
    page = open_page(write_page(tmp_path / "p.html", [], settings(0), monkeypatch), java_script_enabled=javascript)
    assert "There are none: on all 9,000 sentences of the test split" in page.locator("#errors").inner_text()
    assert page.locator("#errors button").count() == 0


def test_without_scripts_the_page_says_what_it_needs(tmp_path, open_page, monkeypatch):
    page = open_page(error_page(tmp_path, monkeypatch), java_script_enabled=False)
    assert "allow scripts for this file" in page.locator("noscript").inner_text()
