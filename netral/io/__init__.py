"""Readers, writers and paths of everything that stages read and write."""
