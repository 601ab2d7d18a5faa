"""Ray itself: found, connected to, asked for enough room; nothing here knows of rows."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inference.jobs.rows import in_use
from inference.predictor import Predictor
from netral.config import RaySettings
from netral.errors import NetralError
from netral.model_folder import ModelFolder

_CONNECT_S = 10.0


def load_ray() -> Any:
    """Import Ray and return it.

    Raises:
        NetralError: It is not installed.
    """
    # Read when Ray is imported: no reports to its makers.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
        import ray.data
    except ImportError:
        raise NetralError("--engine ray: Ray is not installed", "pip install 'netral[ray]', or leave --engine out") from None
    return ray


@contextmanager
def connected(ray: Any, address: str | None) -> Iterator[None]:
    """Connect to the cluster, or start a Ray on this machine; a Ray that the process uses already stays as it is.

    Raises:
        NetralError: There is no cluster at the address, or a task failed there.
    """
    own = not ray.is_initialized()
    try:
        if own:
            connect(ray, address)
        ray.data.DataContext.get_current().enable_progress_bars = False
        for handler in logging.getLogger("ray.data").handlers:
            # What it tells of plans and operators stays in its log files.
            if type(handler).__name__ == "PlainRayHandler":
                handler.setLevel(logging.CRITICAL)
        yield
    except ray.exceptions.RayError as error:
        raise NetralError(
            f"the Ray job failed: {_cause(error)}", "see the logs of Ray, then run the same command again: finished parts are kept"
        ) from None
    finally:
        if own:
            ray.shutdown()


def connect(ray: Any, address: str | None) -> None:
    """Connect to the cluster at an address, or start a Ray on this machine for None.

    Raises:
        NetralError: No cluster answers.
    """
    try:
        host, _, port = (address or "").rpartition(":")
        if host and port.isdigit() and "/" not in host:
            # Ray itself was seen to try for more than two minutes.
            socket.create_connection((host, int(port)), _CONNECT_S).close()
        ray.init(address=address, include_dashboard=False if address is None else None, log_to_driver=False, logging_level="error")
    except OSError as error:  # a ConnectionError is one
        raise NetralError(
            f"--address {address}: no Ray cluster answers there ({error})", "start one (`ray start --head`), or leave --address out"
        ) from None


def _cause(error: Exception) -> str:
    """Return the last line of a trace that names an error: Ray puts traces of all machines into one text."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, NetralError):
        return cause.message
    lines = [line for line in str(error).splitlines() if line[:1].isalpha() and ": " in line]
    return lines[-1] if lines else type(error).__name__


def refuse_too_little(ray: Any, wanted: RaySettings, address: str | None) -> None:
    """Refuse actors that a Ray on this machine has no room for: they would wait for ever. A cluster may still grow.

    Raises:
        NetralError: There is no room.
    """
    if address:
        return
    there = ray.cluster_resources()
    for name, needed in (("CPU", wanted.concurrency * wanted.num_cpus + 1), ("GPU", wanted.concurrency * wanted.num_gpus)):
        if needed > there.get(name, 0):
            raise NetralError(
                f"ray.concurrency = {wanted.concurrency}: needs {needed:g} {name}s, one CPU for reading and splitting included; "
                f"here are {there.get(name, 0):g}",
                "lower ray.concurrency, ray.num_cpus or ray.num_gpus, or pass --address of a cluster",
            )


def resolved(ray: Any, options: dict[str, Any], actors: RaySettings, folder: ModelFolder) -> dict[str, str]:
    """Load the model once where an actor would, so that ``auto`` means the same in all of them and a bad model fails first.

    Raises:
        NetralError: The model there is another one.
    """
    task = ray.remote(num_cpus=actors.num_cpus, num_gpus=actors.num_gpus)(_look)
    found: dict[str, str] = ray.get(task.remote(options))
    if found.pop("model") != folder.fingerprint:
        raise NetralError(f"{folder.path}: another model lies there on the cluster's machines", "put the same folder on every machine")
    return found


def _look(options: dict[str, Any]) -> dict[str, str]:
    with Predictor(**options) as predictor:
        return {"model": predictor.folder.fingerprint, **in_use(predictor)}
