"""What this process may use of the machine it runs on."""

import os
from collections.abc import Iterator
from pathlib import Path


def allowed_cores(root: Path = Path("/")) -> int:
    """Return the number of cores that the process may use: its affinity, and the quota of its container (cgroup v1 or v2).

    A quota of two and a half cores counts as two: a third busy thread would be stopped for half of every period.
    """
    return max(1, int(min([len(os.sched_getaffinity(0)), *_quotas(root)])))


def visible_gpus(root: Path = Path("/")) -> list[str]:
    """Return the CUDA devices that the process may use, as CUDA_VISIBLE_DEVICES names them, without loading a CUDA library."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate((root / "proc/driver/nvidia/gpus").glob("*"))]


def _quotas(root: Path) -> Iterator[float]:
    """Yield the cores that each control group above the process allows; nothing where there is no limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, read = root / "sys/fs/cgroup", _quota_v2
        elif "cpu" in controllers.split(","):
            mount, read = root / "sys/fs/cgroup" / controllers, _quota_v1
            mount = mount if mount.is_dir() else root / "sys/fs/cgroup/cpu"
        else:
            continue
        # Inside a container the path is the host's and may not exist; the mount's root is then the container's own group.
        group = Path(path.lstrip("/"))
        for folder in (mount / group, *(mount / parent for parent in group.parents)):
            quota = read(folder)
            if quota is not None:
                yield quota


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return None if quota <= 0 else quota / int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return None
