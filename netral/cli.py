"""The `netral` command: assembles netral/commands, and turns errors into messages and exit codes."""

import signal
from typing import Annotated, Any

import typer

# Importing a file of commands puts them on the app, in this order.
# isort: off
from netral.commands import train, search, statistics, release, annotate, label, stats, view, config  # noqa: F401

# isort: on
from netral.commands.common import app
from netral.errors import NetralError
from netral.progress import say


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"netral {version('netral')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    pass


def _terminate(number: int, frame: Any) -> None:
    """End like Ctrl-C does, so that nothing half-written stays; batch systems send SIGTERM before they kill."""
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line; a problem the user can solve ends with a message and exit code 2, never a traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except NetralError as error:
        say(f"error: {error}", level="error")
        raise SystemExit(2) from None
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        say(f"error: {name}{error.strerror or error}\n  next: check free space and permissions, then run again", level="error")
        raise SystemExit(2) from None
