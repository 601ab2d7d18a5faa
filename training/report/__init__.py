"""What `evaluate` writes for people."""
