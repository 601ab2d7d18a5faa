"""Runs commands in processes of their own, to see their memory and the time to their first label.

Between this process and the command stands a small one: Linux counts the memory of a process at the time of its `exec` into its
ru_maxrss, and a process spawned straight from here would start with the models that are loaded here.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.bench.common import ROOT
from netral.errors import NetralError


@dataclass(frozen=True, slots=True)
class Run:
    """A command that ended well.

    Attributes:
        begun: When it was started, by the clock that all processes of the machine share.
        seconds: How long it took.
        peak_mib: Largest resident memory of the process.
        output: What it printed.
    """

    begun: float
    seconds: float
    peak_mib: float
    output: str


def run(command: Sequence[str], **environment: str) -> Run:
    """Run a command in the checkout and measure it.

    Raises:
        NetralError: It failed.
    """
    python_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {**os.environ, "PYTHONPATH": python_path, **environment}
    between = [sys.executable, "-I", str(Path(__file__).with_name("spawn.py")), *command]
    done = subprocess.run(between, capture_output=True, text=True, env=settings, check=False)  # noqa: S603 - our own commands
    if done.returncode:
        raise NetralError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}", "run it by hand to see why")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def netral(*arguments: str, **environment: str) -> Run:
    """Run the `netral` command of this checkout."""
    return run([sys.executable, "-c", "from netral.cli import main; main()", *arguments], **environment)
