"""From articles and labels to a data set without leaks."""
