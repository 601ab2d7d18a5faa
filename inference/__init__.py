"""Batched inference with a fine-tuned model folder."""

from typing import Any

__all__ = ["Predictor"]


def __getattr__(name: str) -> Any:
    """Load the Predictor when it is first asked for, so that importing a part of this package stays cheap."""
    if name == "Predictor":
        from inference.predictor import Predictor

        return Predictor
    raise AttributeError(name)
