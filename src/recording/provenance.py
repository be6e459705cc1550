"""Where a run comes from: code, versions, machine, and the fingerprint of everything that determines its numbers."""

import hashlib
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from src import ROOT, data, schema
from src.config import Config, fingerprinted, machinery_keys, source_digest

PACKAGES = ("tensorflow", "keras", "numpy", "mlflow", "hydra-core")
# What a run executes. The rest of the checkout changes no run: a study writes its own results into it.
CODE = ("src", "sweeps", "requirements.lock")
# TensorFlow goes by another name where the CPU build is installed.
ALIASES = {"tensorflow": ("tensorflow", "tensorflow-cpu")}
NUMERIC_PACKAGES = ("tensorflow", "keras", "numpy")
# Fields of /proc/cpuinfo; "model" alone would begin "model name" too.
KIND = {"family": "cpu family", "model": "model\t"}
# TensorFlow reads the numbers of its threads from these variables.
THREADS = {schema.THREADS: "TF_NUM_INTRAOP_THREADS", "threads.inter_op": "TF_NUM_INTEROP_THREADS"}


def package_version(name: str) -> str:
    """The installed version of a package, found without importing it."""
    for alias in ALIASES.get(name, (name,)):
        try:
            return version(alias)
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(f"{name} is not installed. Expected the versions of requirements.lock. Run `make setup`.")


def fingerprint(config: Config) -> str:
    """A run's identity: equal for two runs whose numbers must be equal, on machines that round alike.

    The hexadecimal SHA-256 of the settings that are part of the identity, what determines the data, the version of
    the numerics (`schema.NUMERICS`) and of the packages that compute, and the code of the model where it has one of its
    own.
    """
    identity = {
        "settings": fingerprinted(config),
        "data": data.identity(config.data),
        "numerics": schema.NUMERICS,
        "packages": {name: package_version(name) for name in NUMERIC_PACKAGES},
    }
    if config.model.factory:
        identity["factory"] = source_digest(config.model.factory)
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def git(*arguments: str) -> str | None:
    """The output of a git command in this checkout; None where it fails, as without git or where the checkout has no
    repository of its own: one that surrounds it, or that the environment names, knows nothing of this code.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own["GIT_CEILING_DIRECTORIES"] = str(ROOT.parent)
    command = ["git", *arguments]
    try:
        return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def cpu_info(field: str) -> str:
    """What the system says of its first processor, such as its "model name"; empty where it does not."""
    try:
        with Path("/proc/cpuinfo").open() as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(field))
    except (OSError, StopIteration):
        return ""


def cpu_name() -> str:
    """The processor's name, the architecture where the system does not give it; with its family and model, as virtual
    machines give several generations of processors, which round differently, one name.
    """
    numbers = [f"{word} {found}" for word, field in KIND.items() if (found := cpu_info(field))]
    return ", ".join([cpu_info("model name") or platform.processor() or platform.machine(), *numbers])


def rounding() -> dict[str, str]:
    """Processor and threads, as tags: numbers are equal bit for bit only where they are."""
    return {schema.CPU: cpu_name(), **{tag: os.environ.get(variable, "default") for tag, variable in THREADS.items()}}


def tags(config: Config) -> dict[str, str]:
    """Code, versions, machine and threads of a run, as tags; its process stands in the ledger."""
    changes = git("status", "--porcelain", "--", *CODE)
    return {
        schema.FINGERPRINT: fingerprint(config),
        schema.MACHINERY: ",".join(machinery_keys()),
        "numerics": str(schema.NUMERICS),
        "mlflow.source.name": "python -m src.train",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git("rev-parse", "HEAD") or "unknown",
        "git.dirty": "unknown" if changes is None else str(bool(changes)).lower(),
        "version.python": platform.python_version(),
        **{f"version.{name}": package_version(name) for name in PACKAGES},
        "machine.system": platform.platform(),
        "machine.cores": str(os.cpu_count()),
        "machine.memory_bytes": str(psutil.virtual_memory().total),
        **rounding(),
    }
