"""Runs the command given to it and prints how long it took, its largest memory and its output as one line of JSON."""

import json
import resource
import subprocess
import sys
import time


def main() -> None:
    """Run the command; where it fails, end with its exit code and its messages."""
    begun = time.monotonic()
    done = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=False)  # noqa: S603 - the benchmark's own commands
    seconds = time.monotonic() - begun
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise SystemExit(done.returncode)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"begun": begun, "seconds": seconds, "peak_mib": peak, "output": done.stdout}))


if __name__ == "__main__":
    main()
