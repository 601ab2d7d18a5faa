"""Tables for people: drawn on a terminal, plain elsewhere."""

import sys


def print_table(rows: list[list[str]], *, stderr: bool = True) -> None:
    """Print a table, its first row the header: with rich on a terminal, in plain characters elsewhere."""
    from rich.box import ASCII2, SIMPLE
    from rich.console import Console
    from rich.table import Table

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    console = Console(stderr=stderr, width=None if terminal else 140)
    table = Table(*rows[0], box=SIMPLE if terminal else ASCII2)
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
