"""The errors of the report page in a real browser: found, read, decided, downloaded, prepared."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from error_pages import SENTENCES, answered, error_page, make_data, predictions, report_of, write_page
from support import GOLD, ROOT, downloaded, labelled_output, read_jsonl
from typer.testing import CliRunner

from inference.pages.view import view
from netral.cli import app
from training.report.errors import error_cards, error_settings

# The ids in the page's order: `satu:3` is wrong by 1, `satu:4` by 0.7, `satu:2` by 0.69, `satu:6` by 0.523.
IDS = ["satu:3", "satu:4", "satu:2", "satu:6"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    links = "".join(f"<p><a href='#errors={each}'>link {i}</a></p>" for i, each in enumerate(["warning", "permission/missed", "a%2Fb"]))
    return error_page(tmp_path, monkeypatch, links + "<p>x<br></p>" * 100)


@pytest.fixture
def page(file: Path, open_page):
    page = open_page(file)
    page.wait_for_selector(".error")
    return page


def shown(page) -> list[str]:
    return page.locator(".error .facts > code").all_inner_texts()


def done(page) -> str:
    return page.locator("#errors-done").inner_text()


def pressed(page, number: int) -> list[str]:
    """The labels switched on in a card."""
    return (
        page.locator(".error")
        .nth(number)
        .locator(".choice[aria-pressed=true]")
        .evaluate_all("all => all.map(e => e.lastChild.textContent)")
    )


def netral(*args) -> str:
    found = CliRunner().invoke(app, list(map(str, args)))
    assert found.exception is None, found.exception
    return found.stderr


# Reading


def test_a_card_says_in_plain_words_what_is_wrong_and_where(page):
    assert shown(page) == IDS
    verdicts = page.locator(".error").evaluate_all("all => all.map(e => [...e.querySelectorAll('.verdict')].map(v => v.textContent))")
    assert verdicts == [
        ["wrongly given: warning (0.97)", "right: sanction_threat (0.90)"],
        ["missed: permission (score 0.20, needs 0.50)"],
        ["missed: warning (score 0.31, needs 0.52)"],
        ["wrongly given: warning (0.523)"],  # three digits, where 0.52 would not say on which side it is
    ]
    fourth = page.locator(".error").nth(3)
    assert fourth.locator("mark").inner_text() == SENTENCES[5]
    assert fourth.locator(".around").all_inner_texts() == ['Pegawai "boleh" memberikan suara.', SENTENCES[4]]
    assert fourth.locator(".headline").inner_text() == SENTENCES[0]
    assert page.locator(".error").nth(2).locator(".headline").count() == 0  # it stands just before
    assert fourth.locator(".facts > *").all_inner_texts()[:3] == ["Warta Contoh", "2024-11-18", "satu"]
    assert "On 4 of 7 sentences of the test split" in page.locator(".errors-lead").inner_text()
    first = page.locator(".error").first
    first.locator("summary").click()
    assert [row.split("\t") for row in first.locator("tbody tr").all_inner_texts()] == [
        ["warning", "no", "yes", "0.97", "0.52"],
        ["sanction_threat", "yes", "yes", "0.90", "0.50"],
        ["permission", "no", "no", "0.00", "0.50"],
        ["regulation_reference", "no", "no", "0.10", "0.50"],
    ]


def test_the_id_is_copied(page):
    page.get_by_role("button", name="Copy the id satu:2").click()
    page.locator("#toast", has_text="Copied: satu:2").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "satu:2"


# Finding


def counts(page) -> list[list[str]]:
    return page.locator("#errors-pick tbody tr").evaluate_all("all => all.map(e => [...e.querySelectorAll('td')].map(d => d.textContent))")


def test_labels_and_kinds_are_picked_and_counted(page):
    assert counts(page) == [["2", "2", "4"], ["1", "2", "3"], ["0", "0", "0"], ["1", "0", "1"], ["0", "0", "0"]]
    page.get_by_role("button", name="warning, wrongly given: 2").click()
    assert shown(page) == ["satu:3", "satu:6"]
    assert page.locator("#errors-shown").inner_text() == "2 of 4 sentences"
    page.get_by_role("button", name="permission", exact=True).click()
    assert shown(page) == ["satu:4"]
    page.get_by_role("button", name="all labels, missed: 2").click()
    assert shown(page) == ["satu:4", "satu:2"]
    page.get_by_role("button", name="regulation_reference", exact=True).click()
    assert shown(page) == []
    assert "No such error" in page.locator("#errors-cards").inner_text()
    page.get_by_role("button", name="all labels", exact=True).click()
    assert shown(page) == IDS


@pytest.mark.parametrize(
    ("query", "expected"),
    [("DIPECAT", ["satu:3", "satu:4", "satu:2"]), ("satu:6", ["satu:6"]), ("hujan bupati", ["satu:4", "satu:6"]), ("(", [])],
)
def test_search_finds_words_of_the_sentence_and_around_it(page, query, expected):
    page.get_by_label("Search").fill(query)
    assert shown(page) == expected
    assert counts(page)[0][2] == str(len(expected))


def test_only_those_not_looked_at(page):
    page.locator(".error").nth(1).get_by_role("button", name="Gold is right").click()
    assert shown(page) == IDS  # nothing goes away under the hand
    page.get_by_label("only those not looked at").check()
    assert shown(page) == ["satu:3", "satu:2", "satu:6"]


def test_the_address_picks(page):
    page.evaluate("scrollTo(0, 0)")
    page.get_by_role("link", name="link 0").click()
    page.locator("#errors-shown", has_text="3 of 4").wait_for()
    assert page.locator("#errors").bounding_box()["y"] < 100
    page.get_by_label("Search").fill("hujan")
    assert shown(page) == ["satu:6"]
    page.evaluate("scrollTo(0, 0)")
    page.get_by_role("link", name="link 0").click()  # the address stays as it is, and the link works all the same
    assert shown(page) == ["satu:3", "satu:2", "satu:6"]
    assert page.locator("#errors").bounding_box()["y"] < 100
    page.evaluate("location.hash = '#errors=permission/missed'")
    page.locator("#errors-shown", has_text="1 of 4").wait_for()
    assert shown(page) == ["satu:4"]
    page.evaluate("location.hash = '#errors=a%2Fb%'")
    page.locator("#errors-shown", has_text="4 sentences").wait_for()
    page.get_by_role("button", name="warning, missed: 1").click()
    assert page.evaluate("location.hash") == "#errors=warning/missed"
    page.reload()
    page.wait_for_selector(".error")
    assert shown(page) == ["satu:2"]


def test_a_label_may_hold_a_slash(tmp_path, open_page, monkeypatch):
    data_file = make_data(tmp_path)
    found = answered(data_file)
    names = ["a/missed", "a", "ya & tidak", "%"]
    settings = error_settings(found, report_of({})) | {"labels": names}
    page = open_page(write_page(tmp_path / "p.html", error_cards(data_file, found), settings, monkeypatch))
    for name, expected in (
        ("a/missed", ["satu:3", "satu:2", "satu:6"]),
        ("a/missed/missed", ["satu:2"]),
        ("a/missed/given", ["satu:3", "satu:6"]),
    ):
        page.evaluate("name => location.hash = '#errors=' + encodeURIComponent(name)", name)
        page.locator("#errors-shown", has_text=f"{len(expected)} of 4").wait_for()
        assert shown(page) == expected
    page.get_by_role("button", name="%, missed: 0").click()
    page.reload()
    page.locator("#errors-shown", has_text="0 of 4").wait_for()


def test_keys(page):
    page.keyboard.press("1")  # no card is selected: nothing happens
    assert done(page) == "0 of 4 looked at, 0 labels changed"
    for key in "jj":
        page.keyboard.press(key)
    assert page.locator(".error.selected .facts > code").inner_text() == "satu:4"
    assert page.evaluate("document.activeElement.className").startswith("error")
    page.keyboard.press("c")
    page.locator("#toast", has_text="Copied: satu:4").wait_for()
    page.keyboard.press("1")
    assert pressed(page, 1) == ["warning", "permission"]
    page.keyboard.press("9")  # there is no ninth label
    page.keyboard.press("k")
    page.keyboard.press("k")  # the first stays the first
    page.keyboard.press("m")
    assert pressed(page, 0) == ["warning", "sanction_threat"]
    assert done(page) == "2 of 4 looked at, 2 labels changed"
    page.keyboard.press("g")
    assert pressed(page, 0) == ["sanction_threat"]
    page.keyboard.press("u")
    assert done(page) == "1 of 4 looked at, 1 label changed"
    page.keyboard.press("/")
    page.keyboard.type("gmu1")  # letters, not commands
    assert page.get_by_label("Search").input_value() == "gmu1"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    assert done(page) == "1 of 4 looked at, 1 label changed"


def test_buttons_keep_the_keyboard_s_place(page):
    page.keyboard.press("j")
    choice = page.locator(".error.selected .choice").nth(1)
    choice.focus()
    page.keyboard.press("Space")
    assert choice.evaluate("e => e === document.activeElement")
    assert pressed(page, 0) == []
    assert page.locator(".error").first.locator(".state").inner_text() == "✓ Decided: your labels"
    page.keyboard.press("Enter")
    assert page.locator(".error").first.locator(".state").inner_text() == "✓ Decided: gold is right"


# Correcting


def test_from_the_page_to_the_data_set(page, file, tmp_path, monkeypatch):
    """Every decision is in the file, `prepare` takes it, and the labels in the Parquet are those decided."""
    assert page.get_by_role("button", name="Download corrections").is_disabled()
    cards = page.locator(".error")
    cards.nth(0).get_by_role("button", name="Take the model’s labels").click()
    cards.nth(1).get_by_role("button", name="Gold is right").click()
    cards.nth(2).get_by_role("button", name="4 regulation_reference").click()
    page.get_by_label("annotator").fill("Sari W.")
    assert done(page) == "3 of 4 looked at, 2 labels changed"
    page.reload()
    page.wait_for_selector(".error")
    assert done(page) == "3 of 4 looked at, 2 labels changed"
    assert [page.locator(".error .state").nth(i).inner_text() for i in range(4)] == [
        "✓ Decided: the model is right",
        "✓ Decided: gold is right",
        "✓ Decided: your labels",
        "Not decided",
    ]
    rows = {row["sentence_id"]: row for row in pq.read_table(tmp_path / "data/test.parquet").to_pylist()}
    labels = [["warning", "sanction_threat"], ["permission"], ["warning", "regulation_reference"]]
    expected = [
        {key: rows[each][key] for key in ("sentence_id", "article_id", "start", "end", "sentence")}
        | {"labels": labels[i], "annotator": "Sari W."}
        for i, each in enumerate(IDS[:3])
    ]
    assert downloaded(page, "Download corrections", tmp_path) == expected
    assert "&quot;boleh&quot;" in expected[1]["sentence"]  # as it stands in the article, not as it is shown
    page.locator("#toast", has_text="Downloaded: 3 decided sentences").wait_for()
    monkeypatch.chdir(tmp_path)
    said = netral("prepare", "articles.jsonl", "-c", "recipe.yaml", "--gold", "corrections.jsonl", "--out", "data", "--overwrite")
    assert "corrections.jsonl: 2 sentences got other labels, 1 the same, 0 had none before" in said
    after = {row["sentence_id"]: row for row in pq.read_table("data/test.parquet").to_pylist()}
    assert after == {each: row | {"labels": dict(zip(IDS, labels, strict=False)).get(each, row["labels"])} for each, row in rows.items()}
    assert "3 answers of 1 annotators" in netral("annotate", "import", "corrections.jsonl", "--out", "answers.jsonl")


def test_an_answer_is_taken_back_and_an_empty_name_is_the_reviewer(page, tmp_path):
    first, second = page.locator(".error").nth(0), page.locator(".error").nth(1)
    for card in (first, second):
        card.get_by_role("button", name="Gold is right").click()
    first.get_by_role("button", name="Undo").click()
    page.get_by_label("annotator").fill("  ")
    assert [(row["sentence_id"], row["labels"], row["annotator"]) for row in downloaded(page, "Download corrections", tmp_path)] == [
        ("satu:4", ["permission"], "reviewer")
    ]


def test_two_tabs_share_their_answers(page, file, open_page):
    other = open_page(file, context=page.context)
    other.wait_for_selector(".error")
    other.keyboard.press("j")
    other.keyboard.press("1")
    page.locator("#errors-done", has_text="1 of 4 looked at, 1 label changed").wait_for()
    assert pressed(page, 0) == ["warning", "sanction_threat"]


def test_a_browser_that_keeps_nothing_says_so(file, open_page, tmp_path):
    page = open_page(file, script="Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };")
    page.wait_for_selector(".error")
    assert not page.locator("#errors-warning").is_visible()
    page.keyboard.press("j")
    page.keyboard.press("m")
    assert "download them before" in page.locator("#errors-warning").inner_text()
    assert len(downloaded(page, "Download corrections", tmp_path)) == 1


def test_of_a_choice_one_value_holds(tmp_path, open_page, monkeypatch):
    """A toggle replaces the other value of its aspect, and that is one changed label."""
    data_file = make_data(tmp_path)
    rows = pq.read_table(data_file).to_pylist()
    truth, given, scores = (np.tile(each, (len(rows), 1)) for each in ([1, 0, 1, 0], [1, 0, 1, 0], [0.8, 0.2, 0.7, 0.3]))
    given[1], scores[1] = [0, 1, 1, 0], [0.4, 0.6, 0.7, 0.3]
    choices = {"a": ["a:x", "a:y"], "b": ["b:x", "b:y"]}
    found = predictions(rows, ["a:x", "a:y", "b:x", "b:y"], truth, given, scores, choices=choices)
    page = open_page(write_page(tmp_path / "p.html", error_cards(data_file, found), error_settings(found, report_of({})), monkeypatch))
    page.wait_for_selector(".error")
    assert page.locator(".verdict").all_inner_texts() == ["missed: a:x (score 0.40)", "wrongly given: a:y (0.60)", "right: b:x (0.70)"]
    page.keyboard.press("j")
    page.keyboard.press("4")
    assert pressed(page, 0) == ["a:x", "b:y"]
    page.keyboard.press("2")
    assert pressed(page, 0) == ["a:y", "b:y"]
    assert done(page) == "1 of 1 looked at, 2 labels changed"
    page.keyboard.press("2")  # one of them must hold
    assert downloaded(page, "Download corrections", tmp_path)[0]["labels"] == ["a:y", "b:y"]


def test_the_annotate_page_s_answers_are_labels_for_prepare(tmp_path, open_page, monkeypatch):
    """`netral view --annotate` of articles that nobody labelled yet: its download joins the gold corpus."""
    monkeypatch.chdir(ROOT)
    output = labelled_output(Path("examples/articles"), tmp_path / "out.jsonl", {"netral": {"warning": 0.9}})
    view(str(output), tmp_path / "view.html", annotator="Sari")
    page = open_page(tmp_path / "view.html")
    page.wait_for_selector("article")
    for key in ("Enter", "2", "n", "0", "Enter", "Enter"):
        page.keyboard.press(key)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download answers").click()
    answers = tmp_path / "answers.jsonl"
    download.value.save_as(answers)
    decided = {row["sentence_id"]: row["labels"] for row in read_jsonl(answers)}
    assert len(decided) == 3
    said = netral(
        *("prepare", GOLD / "articles.jsonl", "examples/articles", "-c", "configs/recipes/mini.yaml", "--gold", answers),
        *("--out", tmp_path / "data"),
    )
    assert "0 sentences got other labels, 0 the same, 3 had none before" in said
    rows = [row for split in ("train", "validation", "test") for row in pq.read_table(tmp_path / f"data/{split}.parquet").to_pylist()]
    assert {row["sentence_id"]: row["labels"] for row in rows if not row["article_id"].startswith("gold-")} == decided
    assert "3 answers of 1 annotators on 3 sentences" in netral("annotate", "import", answers, "--out", tmp_path / "imported.jsonl")
