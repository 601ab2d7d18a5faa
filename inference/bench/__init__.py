"""Measures what the documentation claims, each figure beside a named peer in the same run: `make bench`, or `python -m inference.bench`.

Needs a checkout (gold corpus, splitter stress set); rows that need ../shared are left out where it is absent. docs/benchmarks.md says
how to read the tables.
"""
