"""Has what comes in moved away from what was known? Two labelled outputs, or an output against a prepared data set."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix
from scipy.stats import ks_2samp

from inference.deciding import SCORE_DECIMALS
from inference.outputs.read import output_rows, scores_of
from netral.citations import find_citations
from netral.config import EvaluateSettings
from netral.errors import NetralError
from netral.text import model_text
from training.data.partition import SPLITS
from training.statistics.bootstrap import GroupBootstrap
from training.statistics.compare import holm
from training.statistics.slices import outlet_of

# 0.1 and 0.25 are the usual bounds of the population stability index for a small and a large shift (Siddiqi 2006).
PSI_BOUND = 0.25
# A label rate that grew or shrank by a quarter.
RATE_BOUND = 1.25
# Share of words that half of the reference does not know, against its own other half: so many times as much, and so much more.
WORDS_BOUND, WORDS_MORE = 1.5, 0.02
_ALPHA = 0.05
# With fewer articles on a side the tests find only the grossest shifts.
FEW_ARTICLES = 30
RULE = (
    f"retrain signal, if for any label the score distribution has moved (population stability index at least {PSI_BOUND} and p under "
    f"{_ALPHA}) or the label rate has changed by a quarter or more (and the interval of the difference excludes 0), or if words that half "
    f"of the reference does not know are {WORDS_BOUND} times as frequent as in its other half, and by {WORDS_MORE:.0%} of all words more. "
    "All p-values and intervals are over articles and corrected for the number of labels. Outlets, citations and lengths decide nothing."
)
_PERMUTATIONS = 999
_PERMUTED = 50
_BINS = 10
_STEPS = 10**SCORE_DECIMALS + 1
_WORD = re.compile(r"[^\W\d_]{2,}")
_LISTED = 20
_DIGITS = 4


@dataclass(slots=True)
class Side:
    """One of the two things compared.

    Attributes:
        name: Its path.
        gold: Whether its labels are a person's: such data have no scores, and hold labels more often than a crawl does.
        labels: Label names.
        articles: The article of each sentence, as a number.
        given: The labels of each sentence.
        scores: The scores of each sentence, in thousandths; empty for gold.
        words: The words of each article.
        outlets: The outlet of each article.
        citations: How many articles cite each regulation.
        lengths: Sentences of each article.
    """

    name: str
    gold: bool
    labels: list[str] = field(default_factory=list)
    articles: list[int] = field(default_factory=list)
    given: list[list[str]] = field(default_factory=list)
    scores: list[list[int]] = field(default_factory=list)
    words: list[Counter[str]] = field(default_factory=list)
    outlets: list[str] = field(default_factory=list)
    citations: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)


def read_side(path: Path) -> Side:
    """Read a labelled output, or all splits of a prepared data set.

    Raises:
        NetralError: It is neither, or holds no sentence.
    """
    gold = (path / "train.parquet").is_file()
    rows = _data_rows(path) if gold else output_rows(path, ("article_id", "sentence", "labels", "scores", "meta", "citations"))
    side = Side(str(path), gold)
    number: dict[str, int] = {}
    cited: set[tuple[int, str]] = set()
    for where, row in rows:
        if row["article_id"] not in number:
            number[row["article_id"]] = len(number)
            side.words.append(Counter())
            side.outlets.append(outlet_of(row["meta"]))
            side.lengths.append(0)
        article = number[row["article_id"]]
        if not gold and not side.labels:
            side.labels = list(row["scores"])
        side.articles.append(article)
        side.given.append(row["labels"])
        if not gold:
            side.scores.append([round(score * (_STEPS - 1)) for score in scores_of(where, row, side.labels)])
        side.words[article].update(words_of(row["sentence"]))
        side.lengths[article] += 1
        cited.update((article, each) for each in _canonical(row["citations"]))
    if not side.articles:
        raise NetralError(f"{path}: holds no sentence", "name an output of `netral label` or a data set of `netral prepare`")
    side.citations.update(canonical for _, canonical in cited)
    return side


def _data_rows(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    for split in SPLITS:
        part = path / f"{split}.parquet"
        for number, row in enumerate(pq.read_table(part).to_pylist() if part.is_file() else (), 1):
            yield (
                f"{part}:{number}",
                {
                    **row,
                    "meta": json.loads(row["meta"] or "{}"),
                    "citations": [
                        {"canonical": each.canonical, "back_reference": each.back_reference} for each in find_citations(row["sentence"])
                    ],
                },
            )


def _canonical(citations: Iterable[dict[str, Any]]) -> set[str]:
    """Return the laws that are named, without their articles: a new paragraph of a known law is no new law."""
    return {each["canonical"].partition("#")[0] for each in citations if each["canonical"] and not each["back_reference"]}


def words_of(sentence: str) -> list[str]:
    """Return the words of a sentence in lower case, without numbers.

    >>> words_of("ASN wajib netral pada 2024.")
    ['asn', 'wajib', 'netral', 'pada']
    """
    return _WORD.findall(model_text(sentence).lower())


def population_stability_index(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the population stability index of histograms over the same bins, the last axis (Siddiqi 2006).

    Half a count is added to every bin, so that an empty one does not make it infinite.

    >>> float(population_stability_index(np.array([60.0, 40.0]), np.array([40.0, 60.0])).round(3))
    0.159
    """
    a, b = ((counts + 0.5) / (counts + 0.5).sum(axis=-1, keepdims=True) for counts in (reference, other))
    return np.asarray(((b - a) * np.log(b / a)).sum(axis=-1))


def drift(reference: Side, other: Side, settings: EvaluateSettings) -> dict[str, Any]:
    """Compare two sides; ``signals`` says why the model should be trained again, and is empty where nothing says so.

    Raises:
        NetralError: The two have different labels.
    """
    labels = reference.labels or other.labels
    for side in (reference, other):
        if side.labels and side.labels != labels:
            raise NetralError(
                f"{side.name}: has the labels {', '.join(side.labels)}, not {', '.join(labels)}", "compare outputs of one label set"
            )
    if not labels:
        labels = sorted({name for side in (reference, other) for names in side.given for name in names})
    found: dict[str, Any] = {
        "reference": _size(reference),
        "other": _size(other),
        "rule": RULE,
        "label_rates": _label_rates(reference, other, labels, settings),
        "scores": None if reference.gold or other.gold else _scores(reference, other, labels, settings.seed),
        "words": _words(reference, other, settings.seed),
        "outlets": _new(Counter(reference.outlets), Counter(other.outlets), len(other.lengths)),
        "citations": _new(reference.citations, other.citations, sum(other.citations.values())),
        "sentences_per_article": _lengths(reference, other),
    }
    found["signals"] = _signals(found, reference.gold or other.gold)
    few = [side.name for side in (reference, other) if len(side.lengths) < FEW_ARTICLES]
    found["too_few_articles"] = few
    found["verdict"] = "retrain signal" if found["signals"] else "no sign"
    return found


def _size(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "kind": "data set" if side.gold else "output",
        "sentences": len(side.articles),
        "articles": len(side.lengths),
    }


def _label_rates(reference: Side, other: Side, labels: list[str], settings: EvaluateSettings) -> dict[str, Any]:
    # A difference counts only if it holds for all labels together (Bonferroni); rates themselves are shown at the plain confidence.
    strict = 1 - _ALPHA / max(len(labels), 1)
    rows, intervals, strict_rows = [], [], []
    for number, side in enumerate((reference, other)):
        given = np.array([[float(label in names) for label in labels] for names in side.given])
        bootstrap = GroupBootstrap(side.articles, settings.bootstrap_samples, settings.confidence, settings.seed + number)
        rates = bootstrap.ratio(given, np.ones_like(given))
        rows.append(rates[-1])
        strict_rows.append(rates[: settings.bootstrap_samples])
        intervals.append([bootstrap.interval(rates[:, k], bootstrap.wilson(given[:, k].sum(), len(given))) for k in range(len(labels))])
    found = {}
    for k, label in enumerate(labels):
        gaps = strict_rows[1][:, k] - strict_rows[0][:, k]
        found[label] = {
            "reference": round(float(rows[0][k]), _DIGITS),
            "reference_interval": intervals[0][k],
            "other": round(float(rows[1][k]), _DIGITS),
            "other_interval": intervals[1][k],
            "difference": round(float(rows[1][k] - rows[0][k]), _DIGITS),
            "difference_interval": [round(float(q), _DIGITS) for q in np.quantile(gaps, [(1 - strict) / 2, (1 + strict) / 2])],
        }
    return found


def _scores(reference: Side, other: Side, labels: list[str], seed: int) -> dict[str, Any]:
    """Compare score distributions; the p-value is over random exchanges of whole articles between the two sides."""
    articles = np.concatenate([np.array(reference.articles), np.array(other.articles) + len(reference.lengths)])
    count, split = len(reference.lengths) + len(other.lengths), len(reference.lengths)
    scores = np.array(reference.scores + other.scores)
    rng = np.random.default_rng(seed)
    shuffles = [rng.permutation(count) for _ in range(_PERMUTATIONS)]
    found: dict[str, Any] = {}
    for k, label in enumerate(labels):
        histogram = csr_matrix((np.ones(len(articles)), (articles, scores[:, k])), shape=(count, _STEPS))
        known = scores[: len(reference.articles), k]
        # Bins of about equal number in the reference; many equal scores share one bin.
        edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS, method="lower"))
        bin_of = csr_matrix((np.ones(_STEPS), (np.arange(_STEPS), np.searchsorted(edges, np.arange(_STEPS), side="left"))))
        psi, ks = _distances(np.arange(count)[None, :], split, histogram, bin_of)
        shuffled = [
            _distances(np.array(shuffles[begin : begin + _PERMUTED]), split, histogram, bin_of)[1]
            for begin in range(0, _PERMUTATIONS, _PERMUTED)
        ]
        beyond = int((np.concatenate(shuffled) >= ks[0] - 1e-12).sum())
        found[label] = {
            "population_stability_index": round(float(psi[0]), _DIGITS),
            "kolmogorov_smirnov": round(float(ks[0]), _DIGITS),
            "p_value": round((1 + beyond) / (_PERMUTATIONS + 1), _DIGITS),
            "reference_mean": round(float(known.mean()) / (_STEPS - 1), _DIGITS),
            "other_mean": round(float(scores[len(reference.articles) :, k].mean()) / (_STEPS - 1), _DIGITS),
        }
    for label, value in zip(labels, holm([found[label]["p_value"] for label in labels]), strict=True):
        found[label]["p_value_holm"] = round(value, _DIGITS)
    return found


def _distances(orders: np.ndarray, split: int, histogram: csr_matrix, bin_of: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return PSI and Kolmogorov-Smirnov distance where the first articles of each order are one side."""
    first = np.zeros((len(orders), histogram.shape[0]))
    np.put_along_axis(first, orders[:, :split], 1.0, axis=1)
    a = np.asarray((histogram.T @ first.T).T)
    b = np.asarray(histogram.sum(axis=0)).ravel() - a
    psi = population_stability_index(np.asarray(a @ bin_of), np.asarray(b @ bin_of))
    steps = np.abs(np.cumsum(a, axis=1) / a.sum(1, keepdims=True) - np.cumsum(b, axis=1) / b.sum(1, keepdims=True))
    return np.asarray(psi), steps.max(axis=1)


def _words(reference: Side, other: Side, seed: int) -> dict[str, Any]:
    """Compare the share of words that half of the reference does not know, in the other side and in its other half."""
    order = np.random.default_rng(seed).permutation(len(reference.words))
    half = len(order) // 2
    known = set().union(*(reference.words[i] for i in order[:half])) if half else set()
    everything = set().union(*reference.words)
    base = _unknown((reference.words[i] for i in order[half:]), known)
    share = _unknown(other.words, known)
    unseen = Counter(word for words in other.words for word in words if word not in everything)
    return {
        "unknown_in_reference": round(base, _DIGITS),
        "unknown_in_other": round(share, _DIGITS),
        "ratio": round(share / base, _DIGITS) if base else None,
        "most_frequent": dict(sorted(unseen.items(), key=lambda item: (-item[1], item[0]))[:_LISTED]),
    }


def _unknown(articles: Iterable[Counter[str]], known: set[str]) -> float:
    total = missing = 0
    for words in articles:
        for word, count in words.items():
            total += count
            missing += count * (word not in known)
    return missing / total if total else 0.0


def _new(known: Counter[str], seen: Counter[str], total: int) -> dict[str, Any]:
    new = {name: count for name, count in seen.items() if name not in known}
    return {
        "known": len(known),
        "new": len(new),
        "share": round(sum(new.values()) / total, _DIGITS) if total else 0.0,
        "most_frequent": dict(sorted(new.items(), key=lambda item: (-item[1], item[0]))[:_LISTED]),
    }


def _lengths(reference: Side, other: Side) -> dict[str, Any]:
    test = ks_2samp(reference.lengths, other.lengths)
    return {
        "reference_median": float(np.median(reference.lengths)),
        "other_median": float(np.median(other.lengths)),
        "kolmogorov_smirnov": round(float(test.statistic), _DIGITS),
        "p_value": round(float(test.pvalue), _DIGITS),
    }


def _signals(found: dict[str, Any], gold: bool) -> list[str]:
    signals = []
    for label, each in (found["scores"] or {}).items():
        if each["population_stability_index"] >= PSI_BOUND and each["p_value_holm"] < _ALPHA:
            signals.append(f"{label}: scores have moved, PSI {each['population_stability_index']:.2f}, p = {each['p_value_holm']:.3f}")
    # Annotated sentences were chosen, not drawn: that a crawl holds labels less often says nothing.
    for label, each in {} if gold else found["label_rates"].items():
        low, high = sorted((each["reference"], each["other"]))
        below, above = each["difference_interval"]
        if high > 0 and high >= RATE_BOUND * low and (below > 0 or above < 0):
            signals.append(f"{label}: rate {each['reference']:.2%} -> {each['other']:.2%}")
    words = found["words"]
    known, seen = words["unknown_in_reference"], words["unknown_in_other"]
    if seen >= WORDS_BOUND * known and seen >= known + WORDS_MORE:
        signals.append(f"words: {words['unknown_in_other']:.1%} unknown, {words['unknown_in_reference']:.1%} within the reference")
    return signals


def table_rows(found: dict[str, Any]) -> list[list[str]]:
    """Return the table by label: a header row, and a row a label."""
    rows = [["label", "rate, reference", "rate, other", "difference", "PSI", "KS", "p (Holm)"]]
    for label, each in found["label_rates"].items():
        score = (found["scores"] or {}).get(label)
        cells = ["–", "–", "–"]
        if score:
            cells = [f"{score['population_stability_index']:.3f}", f"{score['kolmogorov_smirnov']:.3f}", f"{score['p_value_holm']:.3f}"]
        rates = (_percent(each[side], each[f"{side}_interval"]) for side in ("reference", "other"))
        low, high = each["difference_interval"]
        rows.append([label, *rates, f"{each['difference']:+.2%} [{low:+.2%}, {high:+.2%}]", *cells])
    return rows


def _percent(value: float, interval: list[float]) -> str:
    return f"{value:.2%} [{interval[0]:.2%}, {interval[1]:.2%}]"


def _first(found: dict[str, Any]) -> str:
    return ", ".join(list(found["most_frequent"])[:8]) or "none"


def described(found: dict[str, Any]) -> list[str]:
    """Return what else is to be said, in lines, the verdict last."""
    words, lengths = found["words"], found["sentences_per_article"]
    lines = [
        f"words: {words['unknown_in_other']:.1%} are unknown to half of the reference, {words['unknown_in_reference']:.1%} in its other "
        f"half; new and frequent: {_first(words)}",
        f"outlets: {found['outlets']['new']} new, {found['outlets']['share']:.1%} of the articles: {_first(found['outlets'])}",
        f"citations: {found['citations']['new']} new, {found['citations']['share']:.1%} of those cited: {_first(found['citations'])}",
        f"sentences an article: median {lengths['reference_median']:g} -> {lengths['other_median']:g}, "
        f"KS {lengths['kolmogorov_smirnov']:.2f}, p = {lengths['p_value']:.3f}",
        f"rule: {found['rule']}",
    ]
    if "data set" in (found["reference"]["kind"], found["other"]["kind"]):
        lines.append("label rates of a data set are those of sentences chosen to be labelled: shown, and decide nothing")
    if found["too_few_articles"]:
        lines.append(f"fewer than {FEW_ARTICLES} articles in {', '.join(found['too_few_articles'])}: only gross shifts can be seen")
    return [*lines, *(f"signal: {signal}" for signal in found["signals"]), f"verdict: {found['verdict']}"]
