"""Cleaning and splitting of article text, with offsets into the text as read."""

from netral.text.normalise import model_text
from netral.text.pipeline import ArticleText, TextStage, no_sentences

__all__ = ["ArticleText", "TextStage", "model_text", "no_sentences"]
