"""Processes of the benchmarks, each in the environment that has its packages.

`make bench` makes the environments beside this project's own: `.venv-bench-NAME`, from `benchmarks/requirements/`. A
module that is run in one imports the standard library, NumPy, `src.config` and what that environment has.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from src import ROOT

FIND = "import sys; from importlib.util import find_spec; sys.exit(find_spec(sys.argv[1]) is None)"
STDERR_LINES = 12


class ProcessFailed(RuntimeError):
    """A process that did not deliver."""


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


def call(environment: str | None, module: str, *arguments: str, **variables: str) -> Any:
    """Run a module as a command, with environment variables beside this process's.

    Returns:
        The JSON of the last line that it prints.

    Raises:
        ProcessFailed: it ended with an error, was killed, or printed no JSON.
    """
    command = [str(python(environment)), "-m", module, *arguments]
    settings = {**os.environ, **variables}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    try:
        if done.returncode:
            raise ValueError(f"exit code {done.returncode}")
        return json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise ProcessFailed(
            f"Expected a line of JSON and exit code 0. Received: {error}. Its last words:\n{last_words(done.stderr)}"
        ) from error


def last_words(stderr: str) -> str:
    """The end of what a process wrote on its standard error output."""
    return "\n".join(stderr.splitlines()[-STDERR_LINES:])
