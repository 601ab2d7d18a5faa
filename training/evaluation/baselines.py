"""What any model has to beat: hand-written rules, and a linear model on word counts."""

import re
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from netral.config import DecisionSettings
from netral.text import model_text
from training.fitting.decision import best_threshold, sentence_weights

_WHO = (
    r"\b(?:asn|pns|pppk|aparatur|abdi negara|pegawai|honorer|tenaga kontrak|kepala desa|kades|perangkat desa|lurah|camat|tni|polri|prajurit"
    r"|anggota polisi|personel|kpu|kpps|bawaslu|penyelenggara|pejabat|birokra\w+|guru)\b"
)
_WARN = (
    r"\b(?:meng?ingatkan|diingatkan|meng?imbau|diimbau|mewanti-wanti|menegaskan|menekankan|meminta|diminta|berpesan|melarang|dilarang"
    r"|tidak boleh|tak boleh|jangan|harus|wajib|pantang|hendaknya|diharapkan)\b"
)
_SANCTION = (
    r"\b(?:akan|bisa|dapat|siap|terancam|diancam)\b.{0,40}\b(?:sanksi|disanksi|dihukum|dipecat|dicopot|dipidana|ditindak|diproses|diberhentikan"
    r"|pidana|penjara|hukuman)\b|\btidak segan\b|\bdiancam\b|\bsanksi (?:berat|tegas|disiplin)\b"
)
_PERMIT = (
    r"(?<!tidak )(?<!tak )(?<!belum )\b(?:boleh|diperbolehkan|dibolehkan|diizinkan|berhak|dipersilakan|dikecualikan|sah-sah saja)\b"
    r"|\bhak pilih\b|\bkelonggaran\b"
)
_REGULATION = (
    r"\b(?:uu|undang-undang|pp|peraturan pemerintah|perpres|pkpu|perbawaslu|permen\w+|perda|surat edaran|se|skb|keputusan bersama"
    r"|putusan mk)\b"
    r".{0,40}(?:\bno\b\.?|\bnomor\b|\d+/\d+|\btahun \d{4})|\bpasal \d+|\buu (?:asn|pemilu|pilkada|desa|tni|polri)\b|\bskb\b"
)
RULES = {"warning": (_WHO, _WARN), "sanction_threat": (_SANCTION,), "permission": (_WHO, _PERMIT), "regulation_reference": (_REGULATION,)}


def rule_baseline(sentences: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Label by regular expressions, each label when all its patterns are found; 0/1 of shape (sentences, labels).

    A label without a rule is never given.
    """
    out = np.zeros((len(sentences), len(labels)), dtype=int)
    for k, label in enumerate(labels):
        patterns = [re.compile(p, re.IGNORECASE) for p in RULES.get(label, ())]
        for i, sentence in enumerate(sentences):
            text = model_text(sentence)
            out[i, k] = bool(patterns) and all(p.search(text) for p in patterns)
    return out


def tfidf_pipeline(seed: int) -> Pipeline:
    """Return TF-IDF of words and characters with logistic regression for each label, not fitted."""
    features = FeatureUnion(
        [
            ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)),
            ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)),
        ]
    )
    # C=10 did best on validation among 1, 3, 10 and 30 (macro average precision 0.922, 0.927, 0.929, 0.926).
    linear = LogisticRegression(C=10, class_weight="balanced", max_iter=2000, random_state=seed)
    return make_pipeline(features, OneVsRestClassifier(linear))


class TfidfBaseline:
    """TF-IDF of words and characters with logistic regression, thresholds chosen like the model's."""

    def __init__(self, labels: Sequence[str], seed: int) -> None:
        """Build the pipeline."""
        self._pipeline = tfidf_pipeline(seed)
        self._labels, self._seed = list(labels), seed
        self._thresholds = np.full(len(labels), 0.5)

    def fit(
        self,
        train: Sequence[str],
        truth: np.ndarray,
        validation: Sequence[str],
        held: np.ndarray,
        articles: Sequence[str],
        settings: DecisionSettings,
    ) -> "TfidfBaseline":
        """Fit on train, then choose one threshold per label on validation, by the rule that the model's are chosen by."""
        self._pipeline.fit([model_text(s) for s in train], truth)
        scores, weights = self.scores(validation), sentence_weights(held, settings.no_label_share)
        self._thresholds = np.array(
            [
                best_threshold(scores[:, k], held[:, k], weights, articles, settings.bootstrap_samples, self._seed)
                for k in range(len(self._labels))
            ]
        )
        return self

    def scores(self, sentences: Sequence[str]) -> np.ndarray:
        """Return probabilities of shape (sentences, labels)."""
        # With a single label scikit-learn returns a column for "no" before the one for "yes".
        return np.asarray(self._pipeline.predict_proba([model_text(s) for s in sentences]))[:, -len(self._labels) :]

    def predict(self, sentences: Sequence[str]) -> np.ndarray:
        """Return 0/1 of shape (sentences, labels)."""
        return (self.scores(sentences) >= self._thresholds).astype(int)
