"""Processes of the benchmarks, each in the environment that has its packages.

`make bench` makes the environments beside this project's own: `.venv-bench-NAME`, from `benchmarks/requirements/`. A
module that is run in one imports the standard library, NumPy, `src.config` and what that environment has.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from src import ROOT

FIND = "import sys; from importlib.util import find_spec; sys.exit(find_spec(sys.argv[1]) is None)"
STDERR_LINES = 12


class ProcessFailed(RuntimeError):
    """A process that did not deliver."""


class Ended(NamedTuple):
    """A process that has ended well: what it printed, and its start and end by `time.monotonic`, seconds."""

    printed: str
    started: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.started


def python(environment: str | None) -> Path:
    """The interpreter of `.venv-bench-ENVIRONMENT`; None: this one."""
    return ROOT / f".venv-bench-{environment}" / "bin" / "python" if environment else Path(sys.executable)


def lacking(package: str, environment: str | None) -> str | None:
    """Why a package cannot be used in an environment; None where it can."""
    interpreter = python(environment)
    if interpreter.exists() and subprocess.run([interpreter, "-c", FIND, package], cwd=ROOT).returncode == 0:
        return None
    return f"{package} is not installed" + (
        f" in .venv-bench-{environment}; `make bench` does it" if environment else ""
    )


def run(environment: str | None, *arguments: str, checkout: Path = ROOT, **variables: str) -> Ended:
    """Run an environment's Python in a checkout, with environment variables beside this process's.

    Raises:
        ProcessFailed: it ended with an error or was killed.
    """
    command, settings = [str(python(environment)), *arguments], {**os.environ, **variables}
    started = time.monotonic()
    done = subprocess.run(command, cwd=checkout, env=settings, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    ended = time.monotonic()
    if done.returncode:
        last_words = "\n".join(done.stderr.splitlines()[-STDERR_LINES:])
        raise ProcessFailed(
            f"Expected exit code 0 of python {' '.join(arguments)}\nReceived: exit code {done.returncode}. "
            f"Its last words:\n{last_words}\nRun that command by itself."
        )
    return Ended(done.stdout, started, ended)


def call(environment: str | None, module: str, *arguments: str, **variables: str) -> Any:
    """Run a module as a command. Returns the JSON of the last line that it prints.

    Raises:
        ProcessFailed: as `run`, or it printed no JSON.
    """
    lines = run(environment, "-m", module, *arguments, **variables).printed.splitlines()
    try:
        return json.loads(lines[-1])
    except (ValueError, IndexError) as error:
        raise ProcessFailed(f"Expected {module} to print a line of JSON at last. Received: {lines[-1:]}") from error
