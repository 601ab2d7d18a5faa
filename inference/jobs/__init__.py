"""Jobs that read crawls: label, split, cite, dedup, and what they share."""
