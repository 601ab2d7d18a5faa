"""The evaluation report in a real browser, opened from disk."""

from itertools import pairwise
from pathlib import Path

import pytest
from report_figures import drawn, drawn_report, write_page

from netral.config import load_config
from training.statistics.compare import compare

ATTACKS = (
    "<script>window.pwned=1</script>",
    '"><img src=x onerror="window.pwned=1">',
    "javascript:window.pwned=1",
    "\u202ekanan ke kiri\u202e </title></style></svg><svg onload=window.pwned=1>",
)
CASE = {"id": "x-1", "group": "negation", "rule": "tanpa", "labels_differ": True}
RATE = {"cases": 4, "passed": 3, "pass_rate": 0.75, "interval": [0.3, 0.95], "sets": 1, "labels_differ": 1}


def suite(labels, sentence="ASN boleh ikut.", group="negation"):
    said = {"sentence": sentence, "labels": [], "missing": [labels[0]], "unexpected": [], "scores": dict.fromkeys(labels, 0.5)}
    failed = [{**CASE, "id": sentence, "rule": sentence, "group": group, "sentences": [said]}]
    return {"confidence": 0.95, "method": "Wilson", **RATE, "groups": {group: RATE}, "failed": failed}


def changes(found, names=("lama", "baru")):
    base = drawn(found.labels, seed=3)
    found.given[:80] = 1 - found.given[:80]
    return compare(dict(zip(names, (base, found), strict=True)), load_config(None, ["evaluate.bootstrap_samples=60"]))


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A page with every part."""
    found = drawn(("warning", "sanction_threat", "permission", "regulation_reference"))
    changed = changes(found)
    slices = {"outlet": [f"Warta {'Nusantara ' * (i % 3)}" for i in range(len(found))], "topic": ["x"] * len(found)}
    report = drawn_report(found, slices=slices) | {"behaviour": suite(found.labels)}
    return write_page(tmp_path_factory.mktemp("page") / "report.html", found, report, changed)


def test_it_opens_with_every_part(report, open_page):
    page = open_page(report)
    shown = [each.get_attribute("href") for each in page.locator("nav a").all()]
    assert shown == ["#headline", "#labels", "#confusion", "#slices", "#behaviour", "#base", "#leaks", "#errors"]
    for address in shown[:-1]:
        assert page.locator(address).is_visible()
    assert page.get_by_role("img", name="Precision and recall: warning").is_visible()
    assert page.locator("#headline a").get_attribute("href").startswith("#errors=")


def test_without_scripts_it_shows_all_the_same(report, open_page):
    page = open_page(report, java_script_enabled=False)
    assert page.locator("#labels svg.plot").count() == 12
    page.locator("#base summary").first.click()
    assert page.locator("#base li").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_page_and_no_tick_lies_outside_its_plot(report, open_page, width, scheme):
    page = open_page(report, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(each => (each.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.evaluate(
        """[...document.querySelectorAll('svg[role=img] text')].filter(text => {
          const [inner, outer] = [text, text.ownerSVGElement].map(each => each.getBoundingClientRect());
          return inner.left < outer.left - 0.5 || inner.right > outer.right + 0.5 || inner.bottom > outer.bottom + 0.5;
        }).map(text => text.textContent)"""
    )
    assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(report, open_page, scheme):
    """WCAG 2 asks for 4.5: of words, of numbers on the darkest cell of the confusion, and of plots' ticks on the paper."""
    page = open_page(report, color_scheme=scheme)
    for selector in (".lead", ".quiet", "td.hit", "tr.overall td", "svg text", "#labels summary"):
        ratio = page.locator(selector).first.evaluate(CONTRAST)
        assert ratio >= 4.5, selector
    worst = page.locator("#confusion td").evaluate_all(f"all => Math.min(...all.map({CONTRAST}))")
    assert worst >= 4.5


# Colours as the browser computes them: behind an element lies the nearest ancestor that is not transparent.
CONTRAST = """(element) => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const luminance = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((n) => n / 255);
    const [r, g, b] = parts.map((n) => (n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(element);
  let behind = element;
  while (behind.parentElement && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
  const ink = element.namespaceURI.endsWith('svg') ? style.fill : style.color;
  const [front, back] = [ink, getComputedStyle(behind).backgroundColor].map(luminance);
  return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
}"""


def test_every_fold_link_and_wide_table_is_reached_by_keyboard(report, open_page):
    page = open_page(report, viewport={"width": 390, "height": 800})
    wanted = page.evaluate("[...document.querySelectorAll('a, summary, .wide')].filter(each => each.checkVisibility()).length")
    reached = []
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("[document.activeElement.tagName, document.activeElement.innerText].join()"))
        if reached[-1].startswith("BODY"):
            break
    assert sum(not each.startswith("BODY") for each in reached) >= wanted
    fold = page.locator("#base summary").first
    fold.focus()
    page.keyboard.press("Enter")
    assert page.locator("#base details").first.evaluate("each => each.open")
    wide = page.locator("#slices .wide").first
    wide.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("each => each.scrollLeft > 0", arg=wide.element_handle())


def test_a_hostile_report_runs_nothing_and_breaks_no_layout(tmp_path, open_page):
    labels = (*ATTACKS[:3], ATTACKS[3] + "x" * 200)
    found = drawn(labels)
    for i in range(0, len(found), 3):
        found.sentences[i], found.sentence_ids[i] = ATTACKS[i % 4] + "y" * 300, f"{ATTACKS[i % 2]}{i}"
    base = drawn(labels)
    base.sentences[:], base.sentence_ids[:] = found.sentences, found.sentence_ids
    found.given[:80] = 1 - found.given[:80]
    changed = compare({ATTACKS[0]: base, ATTACKS[1]: found}, load_config(None, ["evaluate.bootstrap_samples=60"]))
    slices = {ATTACKS[1]: [ATTACKS[i % 4] + "z" * 300 + "\ud800" for i in range(len(found))]}
    report = drawn_report(found, slices=slices) | {"behaviour": suite(labels, ATTACKS[1], ATTACKS[0])}
    page = open_page(write_page(tmp_path / "report.html", found, report, changed), viewport={"width": 390, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(each => (each.open = true))")
    for link in page.locator("a").all():
        link.click()
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.locator("img, iframe, .panel script, svg svg").count() == 0
    assert page.locator("a:not([href^='#'])").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#headline th bdi", has_text=ATTACKS[0]).count() == 1
    assert ATTACKS[1] in page.locator("#behaviour li").first.inner_text()


def test_twenty_labels_keep_their_tables_within_themselves(tmp_path, open_page):
    found = drawn(tuple(f"aspek_yang_panjang_{k}:tidak ada" for k in range(20)))
    page = open_page(write_page(tmp_path / "report.html", found), viewport={"width": 1280, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    names = page.locator(".confusion thead bdi").evaluate_all(
        "all => all.map(each => [each, each.closest('th')].map(e => e.getBoundingClientRect()).map(box => [box.top, box.bottom]))"
    )
    assert all(cell[0] <= name[0] and name[1] <= cell[1] for name, cell in names)  # nothing is cut
    heads = [each.bounding_box() for each in page.locator(".confusion thead th").all()[1:-1]]
    assert all(a["x"] + a["width"] <= b["x"] + 1 for a, b in pairwise(heads))
    assert all(each["height"] > each["width"] for each in heads[:20])  # they stand upright
