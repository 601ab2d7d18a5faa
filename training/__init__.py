"""Prepares data, fine-tunes encoders and evaluates models."""
