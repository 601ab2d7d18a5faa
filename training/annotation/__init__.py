"""The labelling loop: what to label next, out to annotation tools and back, agreement, and likely label errors."""
