"""Imports that take seconds, made a fifth faster."""

import gc
import importlib
import sys


def load(module: str) -> None:
    """Import a module with all it needs, without a search for garbage meanwhile.

    TensorFlow and MLflow make a million objects that stay. Python's collector would go through them again and again
    while they are made, and at every later search; `gc.freeze` spares them for good. Only a first import does so:
    what is frozen later would hold the garbage of runs.
    """
    if module in sys.modules:
        return
    gc.disable()
    try:
        importlib.import_module(module)
    finally:
        gc.freeze()
        gc.enable()
