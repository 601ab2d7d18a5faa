"""The label job on a Ray cluster."""
