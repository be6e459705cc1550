"""The machine and the process: settings before TensorFlow starts, peak memory, what the figures were taken on."""

import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "jax", "torch", "pythae")
ENVIRONMENT = ("TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "XLA_FLAGS", "KERAS_BACKEND")
BUSY = 0.3


def prepare() -> None:
    """The environment that `src.train` gives TensorFlow, for this process and its children."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def peak_rss_bytes() -> int:
    """Peak resident memory of this process so far; a child's begins with its parent's, so parents stay small."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Versions of the packages that compute, as far as installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def describe() -> dict[str, object]:
    """What the figures were taken on. No name of a host or user."""
    # Here: the environments of other implementations lack what these import.
    import psutil

    from src.recording import cpu_name, git

    return {
        "cpu": cpu_name(),
        "cores": cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "load_average_before": os.getloadavg()[0],
        "versions": versions(),
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "commit": git("rev-parse", "HEAD") or "unknown",
    }


def sentence(machine: dict[str, object]) -> str:
    """The description in a line, with a warning where something else is running."""
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    line = f"{machine['cpu']}, {machine['cores']} cores; {packages}"
    load = os.getloadavg()[0]
    if load < BUSY:
        return line
    return f"{line}\nThe machine is busy: load average {load:.1f}, expected below {BUSY}. The figures will be noisy."
