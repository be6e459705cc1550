"""One run, from its settings to its last artifact."""

import os

from src.config import Config
from src.process import load
from src.run import program_cache

# Read by TensorFlow when it is imported. Compiled epochs do not use oneDNN, which is announced at every start.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def run(config: Config, number: int | None) -> None:
    """`src.run.cell.run`, which TensorFlow is imported for, with the compiled programs of earlier processes."""
    if config.compile_cache:
        program_cache.use()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    load("src.run.cell", without="sklearn")  # Keras wraps it, which takes as long as all else of Keras
    from src.run import cell

    try:
        cell.run(config, number)
    finally:
        if config.compile_cache:
            program_cache.seal_entries(program_cache.folder())
