"""The page of the evaluation report: every plot and table recomputed from the predictions, and read back out of what was written."""

import re
from itertools import product

import numpy as np
import pyarrow.parquet as pq
import pytest
from report_figures import NUMBER, Page, drawn, drawn_report, write_page
from sklearn.metrics import average_precision_score, confusion_matrix, f1_score, precision_recall_curve, precision_score, recall_score

from netral.config import load_config
from training.data.choices import choice_figures
from training.report.markdown import report_markdown, weakest_line
from training.statistics.compare import compare
from training.statistics.predictions import write_predictions

# Coordinates have two decimals, the smallest plot is 96 units wide.
CLOSE = {"abs": 2e-4}
ASPECTS = {"harga": ["harga:baik", "harga:buruk", "harga:tak ada"], "layanan": ["layanan:baik", "layanan:buruk"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A page, the report beside it, and the rows of its predictions.parquet."""
    folder = tmp_path_factory.mktemp("page")
    found = drawn()
    report = drawn_report(found)
    write_predictions(folder / "predictions.parquet", found)
    page = Page(write_page(folder / "report.html", found, report))
    return page, report, pq.read_table(folder / "predictions.parquet").to_pylist()


def columns(rows, label):
    """Return gold, given and score of a label."""
    return tuple(
        np.array([each(row) for row in rows])
        for each in (lambda r: label in r["gold"], lambda r: label in r["labels"], lambda r: r["scores"][label])
    )


@pytest.mark.parametrize("label", ["a", "b", "c"])
def test_the_precision_recall_curve_is_scikit_learns(world, label):
    page, report, rows = world
    truth, given, scores = columns(rows, label)
    plot = page.plot(f"Precision and recall: {label}")
    precision, recall, thresholds = precision_recall_curve(truth, scores)
    steps = plot.steps()
    assert len(steps) == len(thresholds) == len(set(scores))
    assert steps == pytest.approx(np.column_stack([precision, recall])[:-1][::-1], **CLOSE)
    # The area under the steps is the average precision, which trapezoids would not be.
    area = (np.diff(steps[:, 1], prepend=0) * steps[:, 0]).sum()
    assert area == pytest.approx(average_precision_score(truth, scores), abs=1e-3)
    ((x, y),) = plot.circles()
    assert (plot.x(x), plot.y(y)) == pytest.approx((recall_score(truth, given), precision_score(truth, given)), **CLOSE)
    figures = report["systems"]["model"]["labels"][label]
    upright, across = plot.whiskers()
    assert [plot.y(upright[1]), plot.y(upright[3])] == pytest.approx(figures["precision_interval"], **CLOSE)
    assert [plot.x(across[0]), plot.x(across[2])] == pytest.approx(figures["recall_interval"], **CLOSE)
    (guess,) = plot.drawn("curve dotted")
    assert plot.y(float(re.findall(NUMBER, guess.get("d"))[1])) == pytest.approx(truth.mean(), **CLOSE)


@pytest.mark.parametrize("label", ["a", "c"])
def test_reliability_points_are_means_of_tenths(world, label):
    page, report, rows = world
    truth, _, scores = columns(rows, label)
    plot = page.plot(f"Reliability: {label}")
    tenths = np.array_split(np.argsort(scores, kind="stable"), 10)  # 300 sentences: 30 each
    wanted = [(scores[tenth].mean(), truth[tenth].mean()) for tenth in tenths]
    assert [(plot.x(x), plot.y(y)) for x, y in plot.circles()] == [pytest.approx(each, **CLOSE) for each in wanted]
    ends = [[plot.y(end[1]), plot.y(end[3])] for end in plot.whiskers()]
    assert ends == [pytest.approx(each["interval"], **CLOSE) for each in report["reliability"][label]]


def test_figures_over_thresholds(world):
    page, _, rows = world
    truth, _, scores = columns(rows, "b")
    plot = page.plot("Thresholds: b")
    for name, score in (("curve c3", f1_score), ("curve dashed", precision_score), ("curve dotted", recall_score)):
        (curve,) = plot.drawn(name)
        points = [(plot.x(float(x)), plot.y(float(y))) for x, y in re.findall(rf"({NUMBER}) ({NUMBER})", curve.get("d"))]
        assert len(points) == 19
        assert [y for _, y in points] == [pytest.approx(score(truth, scores >= round(x, 2) - 1e-9), **CLOSE) for x, _ in points]
    # Whatever is drawn is in the legend, in the same class.
    signs = {" ".join(each.text_content().split()): each.find(".//path").get("class") for each in plot.svg.getparent().findall(".//li")}
    assert list(signs) == ["F1", "precision", "recall", "interval of F1", "in use: 0.50"]
    assert sorted(signs.values()) == sorted(each.get("class") for each in plot.svg.findall("path") if each.get("class") != "grid")
    (use,) = plot.drawn("curve use")
    assert plot.x(float(re.findall(NUMBER, use.get("d"))[0])) == pytest.approx(0.5, **CLOSE)


def test_dots_and_table_of_f1(world):
    page, report, rows = world
    wanted = [f1_score(*columns(rows, label)[:2]) for label in "abc"]
    wanted.append(np.mean(wanted))
    plot = page.plot("F1 with intervals")
    assert [plot.x(x) for x, _ in plot.circles()] == pytest.approx(wanted, **CLOSE)
    model = report["systems"]["model"]
    intervals = [*(model["labels"][label]["f1_interval"] for label in "abc"), model["macro_f1_interval"]]
    assert [[plot.x(end[0]), plot.x(end[2])] for end in plot.whiskers()[::2]] == [pytest.approx(each, **CLOSE) for each in intervals]
    (table,) = page.tables("headline")
    assert [row[0] for row in table] == ["F1", "a", "b", "c", "macro F1", "micro F1", "exact match"]
    assert [row[2][:4] for row in table[1:5]] == [f"{each:.2f}" for each in wanted]
    worst = "abc"[int(np.argmin(wanted[:3]))]
    truth, given, _ = columns(rows, worst)
    said = " ".join(page.section("headline").text_content().split())
    assert f"Weakest label: {worst}, F1 {min(wanted):.2f}" in said
    assert f"missed {(truth & ~given).sum()} of {truth.sum()}, wrongly given {(given & ~truth).sum()}." in said
    assert page.section("headline").xpath(".//a/@href") == [f"#errors={worst}"]
    assert "The model is better than rules (regular expressions): macro F1 +0.10 [+0.05, +0.15]." in said


def test_confusion_is_counted_from_the_predictions(world):
    page, _, rows = world
    (table,) = page.tables("confusion")
    wanted = dict.fromkeys(product(["a", "b", "c", "none"], repeat=2), 0)
    for row in rows:
        gold, given = set(row["gold"]), set(row["labels"])
        for hit in gold & given:
            wanted[hit, hit] += 1
        for pair in product(gold - given or {"none"}, given - gold or {"none"}):
            wanted[pair] += 1
    for name, row in zip(["a", "b", "c", "none"], table[1:], strict=True):
        cells = [str(wanted[name, other]) for other in ["a", "b", "c", "none"]]
        assert row[1:-1] == ([*cells[:3], ""] if name == "none" else cells)
    support = [sum(label in row["gold"] for row in rows) for label in "abc"]
    assert [row[-1] for row in table[1:4]] == [str(n) for n in support]
    # Shaded by tenths of the row.
    tenths = [each.get("class").split()[0] for each in page.section("confusion").xpath(".//tbody/tr[1]/td")[:4]]
    assert tenths == [f"s{round(10 * wanted['a', other] / support[0])}" for other in ["a", "b", "c", "none"]]


def test_confusion_of_aspects_is_scikit_learns(tmp_path):
    labels = tuple(name for names in ASPECTS.values() for name in names)
    found = drawn(labels, choices=ASPECTS)
    page = Page(write_page(tmp_path / "report.html", found))
    tables = page.tables("confusion")
    assert [each.text_content() for each in page.section("confusion").iter("h3")] == list(ASPECTS)
    for table, (aspect, names) in zip(tables, ASPECTS.items(), strict=True):
        gold, given = (
            [next(names.index(label) for label, yes in zip(labels, row, strict=True) if yes and label in names) for row in matrix]
            for matrix in (found.truth, found.given)
        )
        assert [[int(cell) for cell in row[1:-1]] for row in table[1:]] == confusion_matrix(gold, given).tolist()
        assert [row[0] for row in table[1:]] == [name.removeprefix(f"{aspect}:") for name in names]
    assert "the likeliest is given" in page.section("labels").text_content()
    assert not page.plot("Thresholds: harga:baik").drawn("curve use")


def test_slices_are_those_of_their_sentences(world):
    page, _, rows = world
    classes = {"up to 10 words": range(0, 11), "11 to 25 words": range(11, 26), "over 25 words": range(26, 99)}
    (table,) = page.tables("slices")
    strips = page.section("slices").xpath(".//tbody//*[name()='svg']")
    for row, strip in zip(table[1:], strips, strict=True):
        mine = [each for each in rows if len(each["sentence"].split()) in classes[row[0]]]
        assert row[1] == str(len(mine))
        f1 = [f1_score(*columns(mine, label)[:2]) for label in "abc"]
        assert row[3][:4] == f"{np.mean(f1):.2f}"
        assert [cell[:4] for cell in row[4:]] == [f"{each:.2f}" for each in f1]
        assert [cell.rsplit("(")[-1] for cell in row[4:]] == [f"{columns(mine, label)[0].sum()})" for label in "abc"]
        # From 12 to 108 units of 120 is from 0 to 1.
        assert (float(strip.xpath(".//*[name()='circle']/@cx")[0]) - 12) / 96 == pytest.approx(np.mean(f1), **CLOSE)
    assert "outlet: the data hold no such field." in page.section("slices").text_content()


@pytest.mark.parametrize("aspects", [False, True])
def test_slices_are_held_against_the_same_mean_of_the_whole_split(tmp_path, aspects):
    """Neither a label that does not occur counts, nor are the values of aspects joined, as they are for the headline's macro F1."""
    labels = tuple(name for names in ASPECTS.values() for name in names) if aspects else ("a", "b", "c")
    found = drawn(labels, choices=ASPECTS if aspects else None)
    if not aspects:
        found.truth[:, 1] = 0
    report = drawn_report(found)
    if aspects:
        report["systems"]["model"]["macro_f1"] = choice_figures(found.given, found.truth, labels, ASPECTS)["macro_f1"]
    wanted = np.mean([f1_score(found.truth[:, k], found.given[:, k]) for k in range(len(labels)) if found.truth[:, k].any()])
    assert report["systems"]["model"]["macro_f1"] != pytest.approx(wanted, abs=5e-4)
    section = Page(write_page(tmp_path / "report.html", found, report)).section("slices")
    lines = [float(re.findall(NUMBER, each)[0]) for each in section.xpath(".//tbody//*[@class='curve use']/@d")]
    assert [(x - 12) / 96 for x in lines] == [pytest.approx(wanted, **CLOSE)] * 3
    assert "the upright line is that mean over the labels that occur in the whole split" in section.text_content()


def test_every_plot_has_a_name_a_description_and_axes(world):
    page, _, _ = world
    plots = [each for each in page.root.iter("svg") if each.get("aria-hidden") is None]
    assert len(plots) == 1 + 3 * 3 + 1 + 3  # F1; three of each label; axis and strips of the slice
    assert all(each.get("role") == "img" and each.findtext("title") and each.findtext("desc") for each in plots)
    for title in ("Precision and recall: a", "Reliability: a", "Thresholds: a"):
        words = [each.text for each in page.plot(title).svg.iter("text")]
        assert words.count("0") == words.count("1") == 2
        assert len(words) == 14  # six ticks and a name for each axis
    assert not re.search(r"\sstyle=", page.text)


def test_changes_against_a_base(tmp_path):
    base, found = drawn(seed=3), drawn(seed=3)
    found.given[:, 0] = 1 - base.given[:, 0]
    changed = compare({"lama": base, "baru": found}, load_config(None, ["evaluate.bootstrap_samples=60"]))
    page = Page(write_page(tmp_path / "report.html", found, changed=changed))
    section = page.section("base")
    fixed = int((found.given[:, 0] == found.truth[:, 0]).sum())
    broken = len(found) - fixed
    (table,) = page.tables("base")
    assert table[1][-2:] == [str(fixed), str(broken)]
    assert table[2][-2:] == ["0", "0"]
    assert [" ".join(each.text_content().split()) for each in section.iter("summary")] == [f"a: {broken} broken", f"a: {fixed} fixed"]
    assert [len(each.findall(".//li")) for each in section.iter("details")] == [50, 50]
    assert f"{broken - 50} more" in section.text_content()
    first = next(i for i in range(len(found)) if found.given[i, 0] != found.truth[i, 0] and found.truth[i, 0])
    assert found.sentence_ids[first] in section.findall(".//li")[0].text_content()
    assert "baru is worse than lama" in section.text_content()
    without = Page(write_page(tmp_path / "without.html", found)).section("base").text_content()
    assert "--base REPORT_OR_MODEL" in without


def test_behaviour_shows_rates_and_failures(tmp_path):
    found = drawn()
    case = {"id": "x-1", "group": "negation", "rule": "tanpa", "labels_differ": False}
    said = {"sentence": "ASN boleh ikut.", "labels": [], "missing": ["a"], "unexpected": ["b"], "scores": {"a": 0.1, "b": 0.9}}
    rate = {"cases": 4, "passed": 3, "pass_rate": 0.75, "interval": [0.3, 0.95], "sets": 0, "labels_differ": 0}
    suite = {"confidence": 0.95, "method": "Wilson", **rate, "groups": {"negation": rate}, "failed": [{**case, "sentences": [said]}]}
    page = Page(write_page(tmp_path / "report.html", found, drawn_report(found) | {"behaviour": suite}))
    (table,) = page.tables("behaviour")
    assert table[1] == ["negation", "3 of 4", "", "0.75 [0.30, 0.95]", "–"]
    text = " ".join(page.section("behaviour").text_content().split())
    assert "ASN boleh ikut. missing a; unexpected b (a 0.10, b 0.90)" in text


@pytest.mark.parametrize(("empty", "times"), [(4, 1), (0, 0)])
def test_where_every_sentence_has_a_label_none_can_stay_without(tmp_path, empty, times):
    found = drawn()
    report = drawn_report(found) | {"empty_kept": {"kept": 0, "of": empty, "share": 0.0, "interval": [0.0, 1.0]}}
    page = Page(write_page(tmp_path / "report.html", found, report))
    for text in (page.section("headline").text_content(), report_markdown(report).lower()):
        assert text.count("sentences without a label that stay without one") == text.count(f"0 of {empty}") == times


def test_a_label_that_is_never_given_has_no_precision(tmp_path):
    found = drawn()
    found.given[:, 1] = 0  # the baseline gives the first alone
    report = drawn_report(found)
    page = Page(write_page(tmp_path / "report.html", found, report))
    plot = page.plot("Precision and recall: b")
    assert not plot.drawn("mark")
    assert not plot.drawn("whisker")
    assert len(page.plot("Precision and recall: a").drawn("mark")) == 2
    assert len(page.plot("Precision and recall: c").drawn("mark")) == 1
    figure = plot.svg.getparent()
    assert [" ".join(each.text_content().split()) for each in figure.findall(".//li")] == ["every threshold", "guessing"]
    (card,) = [each for each in page.section("labels").findall("details") if each.findtext(".//bdi") == "b"]
    facts = {each.findtext("dt"): each.findtext("dd") for each in card.findall(".//dl/div")}
    assert (facts["precision"], facts["recall"][:4]) == ("–", "0.00")
    rows = [line for line in report_markdown(report).splitlines() if line.startswith("| b |")]
    assert rows[1].startswith("| b | – | 0.00 | 0.")
    assert weakest_line(report)[0].endswith("(precision –, recall 0.00).")


def test_a_label_that_never_occurs(tmp_path):
    found = drawn()
    found.truth[:, 1] = 0
    report = drawn_report(found)
    assert report["average_precision"]["labels"]["b"] is None
    page = Page(write_page(tmp_path / "report.html", found, report))
    text = page.section("labels").text_content()
    assert "No sentence of this split has the label" in text
    assert "Precision and recall: b" not in page.text
    assert re.search(r"recall</dt><dd>–<", page.text)
    assert page.plot("Reliability: b").circles()


def test_nothing_that_a_name_or_value_holds_becomes_markup(tmp_path):
    attack = "<script>alert(1)</script>\u202e\ud800 & javascript:alert(1)\"'"
    found = drawn((attack, "b"))
    report = drawn_report(found, slices={attack: [attack] * len(found)})
    path = write_page(tmp_path / "report.html", found, report)
    page = Page(path)
    assert [each.get("id") for each in page.root.iter("script")] == ["errors-settings", "packed", None]
    assert "\ufffd" in page.section("slices").text_content()
    assert not [link for link in page.root.xpath("//a/@href") if not re.fullmatch(r"#[\w%.=-]+", link)]
    assert "&lt;script&gt;alert(1)" in page.text


def test_a_page_of_many_sentences_and_labels_stays_small(tmp_path):
    found = drawn(tuple(f"label_{k}" for k in range(20)), sentences=3000, rate=0.1, per_article=100)
    report = drawn_report(found, samples=20)
    path = write_page(tmp_path / "report.html", found, report)
    assert path.stat().st_size < 3_000_000
    assert len(Page(path).section("labels").xpath("./details[@open]")) == 6
