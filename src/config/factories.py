"""A model of one's own: the function of `model.factory`, found in its file without importing anything.

Its module may import TensorFlow, which takes seconds, and a grid is refused before that.
"""

import ast
import hashlib
import re
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from src.refusal import ConfigError, refusal

KEY = "model.factory"
SPELLING = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
REMEDY = "For example model.factory=mymodel:build, with mymodel.py in the folder where the command is run."


def is_spelled(factory: str) -> bool:
    """Whether a text reads package.module:function."""
    return SPELLING.fullmatch(factory) is not None


def source_file(factory: str) -> Path:
    """The file of a factory's module, where Python would find it. Raises ConfigError where there is none."""
    module, name = factory.partition(":")[0], ""
    places: Any = None  # at first those of sys.path
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            break
        places = spec.submodule_search_locations or []
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        expected = f"in a module that can be imported from {Path.cwd()}, and {name} is none with a Python file"
        raise ConfigError(refusal(KEY, expected, factory, REMEDY))
    return Path(spec.origin)


@cache  # once in a process, as the module is imported once
def source(factory: str) -> bytes:
    """What the file of a factory's module holds. Raises ConfigError as `source_file` does."""
    return source_file(factory).read_bytes()


def source_digest(factory: str) -> str:
    """The hexadecimal SHA-256 of the file of a factory's module, without what this imports."""
    return hashlib.sha256(source(factory)).hexdigest()


def factory_problems(factory: str | None) -> list[str]:
    """Why a factory cannot be imported, as far as its file tells; empty where it can, or where there is none."""
    if factory is None:
        return []
    try:
        body = ast.parse(source(factory)).body
    except ConfigError as error:
        return [str(error)]
    except SyntaxError as error:
        return [refusal(KEY, f"in a module of sound Python, without: {error}", factory, "Correct the module.")]
    defined = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    if factory.partition(":")[2] in defined:
        return []
    expected = f"a function that {source_file(factory)} defines: {', '.join(defined) or 'it defines none'}"
    return [refusal(KEY, expected, factory, "Name the function that returns encoder and decoder.")]
