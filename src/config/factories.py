"""A model of one's own: the file of the function of `model.factory`, found without importing it.

Its module may import TensorFlow, which takes seconds. Whether it makes models that can be trained is tried later.
"""

import hashlib
import re
import sys
from functools import cache
from pathlib import Path

from src.refusal import ConfigError, refusal

SPELLING = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
REMEDY = "For example model.factory=mymodel:build, with mymodel.py in the folder where the command is run."


def is_spelled(factory: str) -> bool:
    """Whether a text reads package.module:function."""
    return SPELLING.fullmatch(factory) is not None


@cache  # once in a process, as the module is imported once
def source_digest(factory: str) -> str:
    """The hexadecimal SHA-256 of the file of a factory's module, without what this imports.

    Raises:
        ConfigError: there is no such file where Python looks for modules.
    """
    module = Path(*factory.partition(":")[0].split("."))
    paths = (Path(place, file) for place in sys.path for file in (module / "__init__.py", module.with_suffix(".py")))
    path = next(filter(Path.is_file, paths), None)
    if path is None:
        expected = f"in a module that can be imported from {Path.cwd()}"
        raise ConfigError(refusal("model.factory", expected, factory, REMEDY))
    return hashlib.sha256(path.read_bytes()).hexdigest()
