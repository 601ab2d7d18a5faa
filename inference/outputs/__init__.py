"""Reads what jobs wrote: verify, stats."""
