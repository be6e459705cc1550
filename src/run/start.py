"""The start of a run: TensorFlow is imported while the data are read, and compiled programs are kept."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from src import data
from src.config import Config
from src.process import load
from src.recording import Study
from src.run import program_cache

# Read by TensorFlow when it is imported. Compiled epochs do not use oneDNN, which is announced at every start.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def run(config: Config, number: int = 0, study: Study | None = None) -> None:
    """Import TensorFlow, then train and record one run; see `src.run.cell.run`."""
    with tensorflow(config, "src.run.cell"):
        from src.run import cell

        cell.run(config, number, study)


@contextmanager
def tensorflow(config: Config, module: str) -> Iterator[None]:
    """Import TensorFlow and a module that needs it, while the data are read; use and keep compiled programs."""
    if config.compile_cache:
        program_cache.use()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    reading = threading.Thread(target=read_data, args=(config,), name="reading", daemon=True)
    reading.start()
    load(module, without="sklearn")  # Keras wraps it, which takes as long as all else of Keras
    reading.join()
    try:
        yield
    finally:
        if config.compile_cache:
            program_cache.seal_entries(program_cache.folder())


def read_data(config: Config) -> None:
    """Read the data, so that what loads them next finds them read, and reports what is wrong."""
    with suppress(data.DataError):
        data.arrays(config.data)
