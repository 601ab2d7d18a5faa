"""What this process may use of the machine it runs on."""

import os


def allowed_cores() -> int:
    """Return the number of cores that the process may use."""
    return len(os.sched_getaffinity(0))
