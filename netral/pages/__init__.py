"""HTML pages: what all of them share."""
