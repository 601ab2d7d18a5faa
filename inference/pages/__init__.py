"""Self-contained pages: one HTML file each, no server, no network, nothing in an article can run (docs/pages.md)."""
