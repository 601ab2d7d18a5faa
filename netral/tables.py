"""Tables for people: drawn on a terminal, plain elsewhere."""

import sys


def print_table(rows: list[list[str]], *, stderr: bool = True) -> None:
    """Print a table, its first row the header: with rich on a terminal, in plain characters elsewhere."""
    from rich.box import ASCII2, SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    console = Console(stderr=stderr, width=None if terminal else 140)
    table = Table(*rows[0], box=SIMPLE if terminal else ASCII2)
    for row in rows[1:]:
        # As Text, because a name from a crawl may look like rich's markup.
        table.add_row(*map(Text, row))
    console.print(table)
