"""The programs that turn token ids into logits, behind one protocol: one file each."""

from inference.backends.base import BACKENDS, DEVICES, PRECISIONS, Backend, Variant, make_backend, usable_variants

__all__ = ["BACKENDS", "DEVICES", "PRECISIONS", "Backend", "Variant", "make_backend", "usable_variants"]
