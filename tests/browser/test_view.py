"""The article view in a real browser, opened from disk: reading, finding, and text that means harm."""

import json
import re
from pathlib import Path

import pytest
from support import labelled_output, write_jsonl
from view_pages import make_output, shown

from inference.pages.view import view
from netral.labels import LABELS

UU = "id/uu/2014/5#pasal-2.huruf-f"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return make_output(tmp_path)


@pytest.fixture
def page(output: Path, open_page):
    view(str(output), output.with_suffix(".html"))
    return open_page(output.with_suffix(".html"))


def toast(page) -> str:
    page.wait_for_selector("#toast:not(:empty)")
    return page.locator("#toast").inner_text()


# Reading


def test_articles_stand_as_a_reader_sees_them(page):
    assert shown(page) == ["satu", "dua", "tiga"]
    assert page.locator("#summary").inner_text() == "3 articles · 8 sentences · 5 with labels"
    first = page.locator("article").first
    assert first.locator("h2").inner_text().startswith("Wali Kota Ingatkan ASN Netral 🙂")
    # Three lines of the source without the headline and the teaser: two paragraphs; entities as a reader sees them.
    assert first.locator("p").count() == 2
    assert 'Pelanggar "akan" diberi sanksi.' in first.inner_text()
    address = first.locator("a", has_text="original")
    assert (address.get_attribute("href"), address.get_attribute("rel")) == ("https://example.org/satu", "noreferrer noopener")


def test_labels_and_scores_are_highlighted(page):
    sentence = page.locator(".s.labelled", has_text="dilarang")
    assert sentence.locator(".chip").all_inner_texts() == ["warning 0.97", "regulation_reference 0.99"]
    assert "c3" in sentence.get_attribute("class")  # the colour of the strongest label
    strong, weak = (
        page.locator(".s.labelled", has_text=word).evaluate("e => getComputedStyle(e).backgroundColor") for word in ("Ingatkan", "sanksi")
    )
    assert strong != weak
    assert page.locator(".s:not(.labelled)").count() == 3


def test_dropped_blocks_are_shown_on_request(page):
    dropped = page.locator(".dropped")
    assert not dropped.is_visible()
    page.get_by_label("show what cleaning dropped").check()
    assert dropped.inner_text().split() == "teaser Baca juga: Harga beras turun".split()
    page.locator("body").press("d")
    assert not dropped.is_visible()


def test_citations_are_links_with_a_tooltip(page):
    cite = page.locator("a.cite").first
    assert cite.get_attribute("href") == f"#{UU}"
    cite.hover()
    facts = page.locator("#tooltip").inner_text().split("\n")
    for value in (UU, "uu", "5", "2014", "2", "f"):
        assert value in facts
    page.mouse.move(0, 0)
    assert not page.locator("#tooltip").is_visible()
    cite.click()
    assert toast(page) == f"Copied: {UU}"
    assert page.evaluate("navigator.clipboard.readText()") == UU
    page.get_by_role("button", name="All articles that cite it").click()
    assert shown(page) == ["satu", "tiga"]


def test_an_address_with_an_id_opens_there(output, open_page):
    view(str(output), output.with_suffix(".html"))
    page = open_page(output.with_suffix(".html"))
    shown(page)
    page.evaluate("location.hash = 'tiga:2'")
    page.wait_for_selector(".s.selected")
    assert page.locator(".s.selected").inner_text().startswith("Hal itu diatur")
    page.evaluate("location.hash = 'id/uu/2014/5'")
    page.wait_for_selector("article:nth-child(2):last-child")
    assert shown(page) == ["satu", "tiga"]


def test_the_id_of_a_sentence_is_copied(page):
    page.locator(".s", has_text="mengungsi").click()
    page.get_by_role("button", name="Copy id").click()
    assert toast(page) == "Copied: dua:2"
    assert page.evaluate("navigator.clipboard.readText()") == "dua:2"


# Finding


def test_filters(page):
    page.get_by_role("checkbox", name="permission").check()
    assert shown(page) == ["tiga"]
    page.get_by_role("checkbox", name="warning").check()
    assert shown(page) == ["satu", "tiga"]
    page.get_by_label("Score at least").fill("0.9")
    assert shown(page) == ["satu"]
    assert page.locator(".s.labelled").count() == 2  # the sanction at 0.62 is below
    page.get_by_role("button", name="Clear filters").click()
    page.wait_for_selector("article:nth-child(3)")
    page.get_by_label("only articles with labels").check()
    assert shown(page) == ["satu", "tiga"]
    page.get_by_label("Outlet").select_option("Kabar Contoh")
    assert shown(page) == ["tiga"]
    page.get_by_label("from").fill("2024-01-01")
    assert shown(page) == []
    assert "No article matches" in page.locator("#articles").inner_text()
    assert page.locator("#summary").inner_text() == "0 of 3 articles · 0 sentences · 0 with labels"


def test_counts_follow_the_filters(page):
    def counts() -> list[str]:
        return [page.locator(f"#count-{n}").inner_text() for n in range(len(LABELS))]

    assert counts() == ["2", "1", "1", "2"]
    page.get_by_label("Outlet").select_option("Kabar Contoh")
    assert counts() == ["0", "0", "1", "1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("KELURAHAN", ["dua"]),
        ("asn sanksi", ["satu"]),
        ('"asn sanksi"', []),
        ('"memberikan suara"', ["tiga"]),
        ("lembahsari", ["dua"]),
        ("id/uu/2014/5", ["satu", "tiga"]),
        ("beras", []),  # dropped text is no text of the article
        ("(", []),
    ],
)
def test_search(page, query, expected):
    page.get_by_label("Search").fill(query)
    assert shown(page) == expected


def test_charts_count_and_filter(page):
    shown(page)
    timeline = page.locator("#timeline")
    assert timeline.locator("figcaption").inner_text() == "Labels by month"
    bars = timeline.locator("[role=button]")
    assert bars.count() == 12  # from December 2023 to November 2024, empty months too
    assert bars.last.get_attribute("aria-label") == (
        "2024-11-01 to 2024-11-30: 1 article, 2 warning, 1 sanction_threat, 1 regulation_reference"
    )
    heights = bars.last.locator(".bar").evaluate_all("all => all.map(e => Number(e.getAttribute('height')))")
    assert heights[0] == pytest.approx(2 * heights[1])
    bars.last.focus()
    page.keyboard.press("Enter")
    assert shown(page) == ["satu"]
    assert page.get_by_label("from").input_value() == "2024-11-01"
    page.keyboard.press("Enter")  # the bar keeps the focus, and gives the filter back
    assert shown(page) == ["satu", "dua", "tiga"]
    outlets = page.locator("#outlets [role=button]")
    assert [each.get_attribute("aria-label") for each in outlets.all()] == [
        "Warta Contoh: 1 article, 2 warning, 1 sanction_threat, 1 regulation_reference",
        "Kabar Contoh: 2 articles, 1 permission, 1 regulation_reference",
    ]
    outlets.last.click()
    assert shown(page) == ["dua", "tiga"]


def test_keys(page):
    shown(page)
    page.keyboard.press("j")
    assert page.locator(".s.selected").inner_text().startswith("Wali Kota")
    page.keyboard.press("j")
    assert "dilarang" in page.locator(".s.selected").inner_text()
    page.keyboard.press("k")
    page.keyboard.press("k")  # round the end
    assert "diatur" in page.locator(".s.selected").inner_text()
    page.keyboard.press("c")
    assert toast(page) == "Copied: tiga:2"
    page.keyboard.press("Escape")
    assert page.locator(".s.selected").count() == 0
    page.keyboard.press("/")
    page.keyboard.type("jd")  # letters, not commands
    assert page.get_by_label("Search").input_value() == "jd"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()


def test_thousands_of_articles_are_drawn_a_page_at_a_time(tmp_path, open_page):
    write_jsonl(tmp_path / "crawl.jsonl", [{"id": f"a{i}", "text": f"ASN diminta netral ke-{i}."} for i in range(2000)])
    output = labelled_output(tmp_path / "crawl.jsonl", tmp_path / "out.jsonl", {"ke-1999.": {"warning": 0.9}})
    view(str(output), tmp_path / "out.html")
    page = open_page(tmp_path / "out.html")
    page.wait_for_selector("article")
    assert page.locator("article").count() == 20
    assert "Page 1 of 100" in page.locator("#pages").inner_text()
    page.keyboard.press("]")
    assert page.locator("article .s").first.inner_text() == "ASN diminta netral ke-20."
    page.keyboard.press("j")  # to the last article of all
    assert page.locator(".s.selected").inner_text().startswith("ASN diminta netral ke-1999.")
    assert page.get_by_role("button", name="Next →").is_disabled()


@pytest.mark.parametrize(("width", "open_at_first"), [(390, False), (1280, True)])
def test_a_phone_shows_everything_in_its_width(output, open_page, width, open_at_first):
    view(str(output), output.with_suffix(".html"))
    page = open_page(output.with_suffix(".html"), viewport={"width": width, "height": 800})
    shown(page)
    assert page.locator("#filters").evaluate("e => e.open") == open_at_first
    page.locator(".s.labelled").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_light_and_dark(output, open_page):
    view(str(output), output.with_suffix(".html"))
    looks = []
    for scheme in ("light", "dark"):
        page = open_page(output.with_suffix(".html"), color_scheme=scheme)
        shown(page)
        colours = page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
        looks.append([int(re.findall(r"\d+", colour)[0]) for colour in colours])
    (light_ground, light_ink), (dark_ground, dark_ink) = looks
    assert light_ground > 200 > light_ink
    assert dark_ground < 100 < dark_ink


def test_without_sources_the_sentences_stand_alone(output, open_page):
    (output.parent / "crawl.jsonl").unlink()
    found = view(str(output), output.with_suffix(".html"))
    assert found["gone"] == {"source_gone": 3}
    page = open_page(output.with_suffix(".html"))
    assert shown(page) == ["satu", "dua", "tiga"]
    assert page.locator(".dropped").count() == 0
    assert "sentences alone (source_gone)" in page.locator("article .facts").first.inner_text()
    assert "3 articles show their labelled sentences alone" in page.locator(".notes").inner_text()


# Hostile text

ATTACKS = (
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 1</script><!--<script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<svg onload='window.pwned = 1'><a href='javascript:window.pwned = 1'>a</a></svg>",
    "\"'><iframe srcdoc='<script>parent.pwned = 1</script>'></iframe>",
    "{{ 7 * 7 }}${7 * 7} {% raw %}",
    "\u202eterbalik \u2067 sekali \u2028 \u2029 \ud800 \udfff \x00 \x1b[31m",
)


@pytest.mark.parametrize("annotator", [None, "".join(ATTACKS[:6])])
def test_a_hostile_output_runs_nothing(tmp_path, open_page, annotator):
    rows = []
    for i, attack in enumerate(ATTACKS):
        cited = {"start": 0, "end": 4, "canonical": attack, "type": attack, "about": attack, "number": attack, "year": 2014}
        rows.append(
            {
                "article_id": f"{attack}{i}",
                "sentence_id": f"{attack}:{i}",
                "start": 0,
                "end": len(attack),
                "sentence": attack,
                "labels": [ATTACKS[0]],
                "scores": {ATTACKS[0]: 0.9, ATTACKS[3]: 0.1},
                "meta": {
                    "title": attack,
                    "outlet": attack,
                    "date": f"2024-01-01 {attack}",
                    "url": "javascript:window.pwned=1",
                    attack: attack,
                },
                "provenance": {
                    "file": attack,
                    "row": 1,
                    "sha256": attack,
                    "offset": None,
                    "url": "javascript:alert(1)",
                    "crawled_at": attack,
                },
                "citations": [cited],
            }
        )
    output = tmp_path / "out.jsonl"
    output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    view(str(output), tmp_path / "out.html", title=ATTACKS[1], annotator=annotator)
    page = open_page(tmp_path / "out.html")
    page.wait_for_selector("article")
    # Everything that can be shown is shown: tooltip, details, charts, filters.
    for number in range(len(ATTACKS)):
        page.locator("a.cite").nth(number).hover()
        page.locator(".chip").nth(number).click()
    page.get_by_label("Search").fill(ATTACKS[2])
    page.locator("#outlets [role=button]").first.click()
    page.evaluate("location.hash = 'javascript:window.pwned=1'")
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.title() == ATTACKS[1]
    assert page.locator("img, iframe, article script, article svg").count() == 0
    assert page.locator("script").count() == 3  # data, settings, and the page's own
    assert page.locator("a:not([href^='#'])").count() == 0
    assert ATTACKS[2] in page.locator("article").first.inner_text()


def test_marks_of_direction_end_with_their_sentence(tmp_path, open_page):
    write_jsonl(tmp_path / "crawl.jsonl", [{"id": "a", "text": "ASN netral \u202e sekali saja. Ia pergi ke kantor."}])
    output = labelled_output(tmp_path / "crawl.jsonl", tmp_path / "out.jsonl", {})
    view(str(output), tmp_path / "out.html")
    page = open_page(tmp_path / "out.html")
    page.wait_for_selector("article")
    boxes = [each.bounding_box() for each in page.locator(".s").all()]
    assert len(boxes) == 2
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]  # in reading order on one line


def test_the_policy_stops_what_the_page_would_let_in(output, browser):
    """Were text ever to become markup, the policy of the page would still run nothing and reach no address."""
    view(str(output), output.with_suffix(".html"))
    context = browser.new_context()
    page = context.new_page()
    refused, requests = [], []
    page.on("console", lambda message: refused.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(output.with_suffix(".html").as_uri())
    page.wait_for_selector("article")
    with page.expect_console_message(lambda message: "onerror" in message.text or "event handler" in message.text):
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=data:,x onerror=\"window.pwned = 1\">')")
    assert page.evaluate("fetch('https://example.org/').then(() => 'reached', () => 'stopped')") == "stopped"
    page.evaluate("document.head.append(Object.assign(document.createElement('script'), { textContent: 'window.pwned = 1' }))")
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert all("Content Security Policy" in text for text in refused), refused
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    context.close()
