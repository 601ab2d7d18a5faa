"""Fine-tuning and pre-training of encoders, thresholds, seeds, search."""
