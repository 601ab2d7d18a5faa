"""Pages: from an output back to articles, and what holds of the file before any browser opens it."""

import base64
import hashlib
import io
import json
import re
import sys
import zlib
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from support import labelled_output, read_jsonl, write_jsonl
from typer.testing import CliRunner

from inference.pages.data import LabelledArticle, LabelledRow, pieces, read_articles
from inference.pages.show import find_article, show
from inference.pages.view import data_digest, view
from netral.cli import app
from netral.config import TextSettings
from netral.errors import NetralError
from netral.io.writers import ParquetWriter
from netral.labels import LABELS
from netral.pages.page import render

TEXT = (
    "Bupati Ingatkan ASN Netral\n\nBaca juga: Harga beras turun\n\nASN dilarang ikut kampanye&nbsp;sesuai Pasal 70 dan 71 UU No. 10/2016. "
    "Ia\u200b pergi.\nApel ditutup.\n(dno/sla)"
)
SCORES = {"Ingatkan": {"warning": 0.91}, "dilarang": {"warning": 0.97, "regulation_reference": 0.6}}


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    records = [
        {"id": "a", "text": TEXT, "Media": "Warta Contoh", "tanggal": "Senin, 18 November 2024"},
        {"id": "b", "text": "Hujan turun di Lembahsari.", "judul": "Hujan", "link": "https://www.example.org/b"},
    ]
    write_jsonl(tmp_path / "crawl.jsonl", records)
    return labelled_output(tmp_path / "crawl.jsonl", tmp_path / "out.jsonl", SCORES)


def packed(page: Path) -> list[dict]:
    text = re.search(r'id="packed">([^<]*)<', page.read_text(encoding="utf-8"))
    assert text
    return json.loads(zlib.decompress(base64.b64decode(text[1])))


def row(**fields) -> LabelledRow:
    text = fields.get("sentence", "ASN netral.")
    given = {"article_id": "a", "sentence_id": "a:1", "start": 0, "end": len(text), "sentence": text, "scores": dict.fromkeys(LABELS, 0.0)}
    return LabelledRow.model_validate(given | fields)


# Articles


def test_an_article_is_cut_into_what_a_reader_sees(output):
    article, other = read_articles(str(output))
    found = pieces(article, LABELS)
    assert [(piece["kind"], piece.get("rule"), piece.get("p", False), piece["text"]) for piece in found] == [
        ("sentence", None, True, "Bupati Ingatkan ASN Netral"),
        ("dropped", "teaser", True, "Baca juga: Harga beras turun"),
        ("sentence", None, True, "ASN dilarang ikut kampanye sesuai Pasal 70 dan 71 UU No. 10/2016."),
        ("sentence", None, False, "Ia pergi."),
        ("sentence", None, True, "Apel ditutup."),
        ("dropped", "sign_off", True, "(dno/sla)"),
    ]
    assert found[0]["headline"]
    assert (found[2]["labels"], found[2]["scores"]) == ([0, 3], [0.97, 0.05, 0.05, 0.6])
    # What is read and what stands in the source are both there where they differ.
    for piece in found:
        if piece["kind"] == "sentence":
            assert TEXT[piece["start"] : piece["end"]] == piece.get("raw", piece["text"])
    assert "&nbsp;" in found[2]["raw"]
    assert (article.outlet, article.date, article.url, article.title) == ("Warta Contoh", "2024-11-18", "", "")
    assert (other.outlet, other.date, other.url, other.title) == ("example.org", "", "https://www.example.org/b", "Hujan")
    assert not any(piece.get("headline") for piece in pieces(other, LABELS))


def test_a_mention_of_several_articles_is_one_link(output):
    sentence = pieces(next(read_articles(str(output))), LABELS)[2]
    assert [part if isinstance(part, str) else (part["text"], [each["id"] for each in part["to"]]) for part in sentence["cites"]] == [
        "ASN dilarang ikut kampanye sesuai ",
        ("Pasal 70 dan 71 UU No. 10/2016", ["id/uu/2016/10#pasal-70", "id/uu/2016/10#pasal-71"]),
        ".",
    ]


def test_citations_out_of_place_lose_no_text():
    cited = [
        {"start": start, "end": end, "canonical": f"id/uu/2014/{i}"}
        for i, (start, end) in enumerate([(-5, 3), (2, 99), (4, 5), (50, 60), (3, 2)])
    ]
    found = pieces(LabelledArticle([row(citations=cited)]), LABELS)[0]
    assert found["text"] == "ASN netral."
    assert [part if isinstance(part, str) else part["text"] for part in found["cites"]] == ["AS", "N netral."]


def test_text_that_is_neither_sentence_nor_dropped_is_shown_as_such():
    article = LabelledArticle([row(start=6, end=17)], text="Judul\nASN netral. Sisa kalimat.\n")
    assert [(piece["kind"], piece["text"]) for piece in pieces(article, LABELS)] == [
        ("plain", "Judul"),
        ("sentence", "ASN netral."),
        ("plain", "Sisa kalimat."),
    ]


def test_what_was_labelled_is_not_shown_as_dropped(output):
    """With other cleaning settings than those of the run a block is dropped that the run labelled."""
    rows = [each for each in read_jsonl(output) if each["article_id"] == "a"]
    start = TEXT.index("Baca juga")
    end = TEXT.index("\n", start)
    rows.insert(1, rows[0] | {"sentence_id": "a:x", "start": start, "end": end, "sentence": TEXT[start:end], "citations": []})
    write_jsonl(output, rows)
    rules = [piece.get("rule") for piece in pieces(next(read_articles(str(output))), LABELS)]
    assert rules == [None, None, None, None, None, "sign_off"]
    article = next(read_articles(str(output), text=TextSettings(disabled_rules=["sign_off"])))
    assert not article.drops or {drop.rule for drop in article.drops} == {"teaser"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.unlink(), "source_gone"),
        (lambda path: path.write_text(path.read_text().replace("Apel", "Rapat")), "digest_differs"),
        (lambda path: path.write_text(""), "row_gone"),
    ],
)
def test_a_source_that_is_not_what_it_was_is_not_shown(output, change, reason):
    change(output.parent / "crawl.jsonl")
    article = next(read_articles(str(output)))
    assert (article.text, article.drops, article.gone) == (None, [], reason)
    assert "".join(piece["text"] for piece in pieces(article, LABELS)).startswith("Bupati Ingatkan ASN NetralASN dilarang")


def test_a_sentence_that_is_not_in_its_source_is_not_shown_in_it(output):
    rows = read_jsonl(output)
    rows[0]["sentence"] = "Bupati Larang"
    write_jsonl(output, rows)
    assert next(read_articles(str(output))).gone == "slice_differs"


def test_sources_are_found_where_they_were_moved_to(output):
    (output.parent / "archive").mkdir()
    (output.parent / "crawl.jsonl").rename(output.parent / "archive/crawl.jsonl")
    assert [article.gone for article in read_articles(str(output))] == ["source_gone", "source_gone"]
    assert [article.gone for article in read_articles(str(output), source=output.parent / "archive")] == ["", ""]


def test_sentence_rows_and_rows_without_provenance(output):
    write_jsonl(output.parent / "s.jsonl", [{"sentence": "ASN netral."}])
    sentences = labelled_output(output.parent / "s.jsonl", output.parent / "s.out.jsonl", {})
    assert next(read_articles(str(sentences))).gone == "sentence_row"
    rows = read_jsonl(sentences)
    write_jsonl(sentences, [each | {"provenance": None} for each in rows])
    assert next(read_articles(str(sentences))).gone == "no_provenance"


def test_parquet_and_folders_give_the_same_page(output):
    folder = output.parent / "labelled"
    folder.mkdir()
    rows = read_jsonl(output)
    for number, part in enumerate((rows[:4], rows[4:])):
        writer = ParquetWriter(folder / f"part-{number:05}.parquet", LABELS)
        for each in part:
            writer.write(each)
        writer.close()
    whole = output.with_suffix(".parquet")
    pq.write_table(pa.concat_tables([pq.read_table(part) for part in sorted(folder.iterdir())]), whole)
    for number, source in enumerate((output, whole, folder)):
        view(str(source), output.parent / f"{number}.html", title="Sama")
    pages = [(output.parent / f"{number}.html").read_bytes() for number in range(3)]
    assert pages[0] == pages[1] == pages[2]


# The page


def test_the_policy_allows_exactly_what_the_page_holds(output):
    page = output.with_suffix(".html")
    view(str(output), page)
    html = page.read_text(encoding="utf-8")
    allowed = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    style, script = re.search(r"<style>(.*?)</style>", html, re.DOTALL), re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert all((allowed, style, script))
    wanted = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style[1], script[1])]
    assert allowed[1].replace("&#39;", "'") == (
        f"default-src 'none'; style-src 'sha256-{wanted[0]}'; script-src 'sha256-{wanted[1]}'; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"<(?:script|style)[^>]* src|<link|@import|url\(|innerHTML|insertAdjacentHTML|eval\(", html)
    assert html.count("http://") == 1  # the name of SVG
    assert "www.w3.org/2000/svg" in html


def test_the_page_depends_on_the_output_alone(output, tmp_path_factory):
    found = view(str(output), output.with_suffix(".html"), annotator="Sari")
    first = output.with_suffix(".html").read_bytes()
    with pytest.raises(NetralError, match="--overwrite"):
        view(str(output), output.with_suffix(".html"))
    view(str(output), output.with_suffix(".html"), annotator="Sari", overwrite=True)
    assert output.with_suffix(".html").read_bytes() == first
    assert found == {"articles": 2, "sentences": 5, "left_out": 0, "gone": {}, "bytes": len(first)}


def test_answers_belong_to_sentences_not_to_labels(output):
    before = data_digest(list(read_articles(str(output))))
    labelled_output(output.parent / "crawl.jsonl", output, {})
    assert data_digest(list(read_articles(str(output)))) == before
    rows = read_jsonl(output)
    rows[0]["start"] += 1
    write_jsonl(output, rows)
    assert data_digest(list(read_articles(str(output)))) != before


def test_a_limit_says_what_is_left_out(output):
    found = view(str(output), output.with_suffix(".html"), limit=1)
    assert (found["articles"], found["left_out"]) == (1, 1)
    assert "1 more articles of this output are not on the page" in output.with_suffix(".html").read_text()
    assert [article["id"] for article in packed(output.with_suffix(".html"))] == ["a"]


def test_any_label_set(output):
    rows = read_jsonl(output)
    write_jsonl(output, [each | {"labels": ["x"], "scores": {"x": 0.7, "y": 0.2}} for each in rows])
    view(str(output), output.with_suffix(".html"))
    assert '"labels": ["x", "y"]' in output.with_suffix(".html").read_text()
    assert packed(output.with_suffix(".html"))[0]["pieces"][0]["scores"] == [0.7, 0.2]


def test_half_surrogates_become_whole_characters(tmp_path):
    given = {
        "article_id": "a\ud800",
        "sentence_id": "a:1",
        "start": 0,
        "end": 3,
        "sentence": "a\udfffb",
        "labels": [],
        "scores": {"x": 0.5},
    }
    (tmp_path / "out.jsonl").write_text(json.dumps(given | {"provenance": None, "meta": {"title": "\ud83d"}}) + "\n", encoding="ascii")
    view(str(tmp_path / "out.jsonl"), tmp_path / "out.html", title="T\udc80")
    article = packed(tmp_path / "out.html")[0]
    assert (article["id"], article["title"], article["pieces"][0]["text"]) == ("a\ufffd", "\ufffd", "a\ufffdb")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "warning"}, "labels"),
        ({"scores": {"warning": "high"}}, "scores.warning"),
        ({"scores": {"warning": float("nan")}}, "scores.warning"),
        ({"meta": 3}, "meta"),
        ({"citations": [{"start": 0}]}, "citations.0"),
        ({"start": -1}, "start"),
    ],
)
def test_a_row_that_is_none_of_netral_is_named(output, change, message):
    rows = read_jsonl(output)
    write_jsonl(output, [*rows[:2], rows[2] | change])
    with pytest.raises(NetralError, match=rf"out\.jsonl:3: {message}"):
        view(str(output), output.with_suffix(".html"))
    assert not output.with_suffix(".html").exists()


def test_without_jinja2_the_message_says_how_to_get_it(output, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(NetralError, match=r"pip install 'netral\[pages\]'"):
        view(str(output), output.with_suffix(".html"))


def test_what_a_template_shows_is_escaped():
    html = render("netral.pages", "base.html", title="</title><script>alert(1)</script>", styles=(), scripts=())
    assert "<script" not in html
    assert "&lt;/title&gt;" in html


def test_text_has_the_contrast_that_readers_need():
    """WCAG 2 asks for 4.5; the formula is that of its definition of relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    css = files("netral.pages").joinpath("static/base.css").read_text(encoding="utf-8")
    schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", scheme)) for scheme in css.split("@media")]
    assert [len(scheme) for scheme in schemes] == [16, 16]
    for scheme in schemes:
        paper = luminance(scheme["paper"])
        for name in ("ink", "quiet", "accent", "alarm", *(f"c{n}" for n in range(8))):
            light, dark = sorted((luminance(scheme[name]), paper), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, name


# The command line


def test_commands(output):
    run = CliRunner().invoke
    assert run(app, ["view", "out.jsonl", "--out", "v.html"]).exit_code == 0
    assert run(app, ["view", "out.jsonl", "--annotate", "--annotator", "Sari", "--out", "a.html"]).exit_code == 0
    shown = run(app, ["show", "out.jsonl", "--article", "b"])
    assert shown.stdout == "Hujan\nb · example.org · https://www.example.org/b · crawl.jsonl:2\n\nHujan turun di Lembahsari.\n"
    for wrong in (
        ["view", "out.jsonl", "--out", "v.txt"],
        ["view", "out.jsonl", "--annotate", "--out", "x.html"],
        ["view", "out.jsonl", "--annotator", "Sari", "--out", "x.html"],
        ["view", "gone.jsonl", "--out", "x.html"],
        ["show", "out.jsonl", "--article", "c"],
    ):
        assert isinstance(run(app, wrong).exception, NetralError)


def shown(article: LabelledArticle, **settings) -> str:
    stream = io.StringIO()
    show(article, Console(file=stream, highlight=False, markup=False, emoji=False, **settings))
    return stream.getvalue()


def test_an_article_is_printed_plain_in_a_pipe_and_coloured_on_a_terminal(output):
    article = find_article(str(output), None)
    plain = shown(article)
    assert plain.splitlines()[-4:] == [
        "",
        "ASN dilarang ikut kampanye sesuai Pasal 70 dan 71 UU No. 10/2016.  [warning 0.97]  [regulation_reference 0.60]",
        "Ia pergi.",
        "Apel ditutup.",
    ]
    coloured = shown(article, force_terminal=True, color_system="standard", width=200)
    assert "\x1b[1;33m[warning 0.97]\x1b[0m" in coloured
    assert "\x1b[1;34m[regulation_reference 0.60]\x1b[0m" in coloured


def test_text_cannot_command_the_terminal():
    hostile = row(
        sentence="\x1b[31m[bold]merah\x07\u202e:smile:\x9b", article_id="a\x1b]0;x\x07", labels=["\x1b[0m"], scores={"\x1b[0m": 0.9}
    )
    text = shown(LabelledArticle([hostile]))
    assert not set("\x1b\x07\u202e\x9b") & set(text)
    assert "[bold]merah" in text
