"""The four labels of the codebook (docs/labels.md)."""

LABELS: tuple[str, ...] = ("warning", "sanction_threat", "permission", "regulation_reference")
