"""Model card and upload."""
