"""Reads what jobs wrote: the rows, verify, stats."""
