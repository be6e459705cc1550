"""The values that a key admits, and the message for any other."""

from collections.abc import Callable
from typing import Any, NamedTuple


class ConfigError(ValueError):
    """A configuration that cannot be run. The message says what was wrong, expected and received, and the remedy."""


class Domain(NamedTuple):
    """The values that a key admits.

    Attributes:
        expected: the values in words, to follow "KEY must be".
        admits: whether a value is one of them.
        remedy: what to do about any other, one or more sentences.
    """

    expected: str
    admits: Callable[[Any], bool]
    remedy: str


def refusal(key: str, expected: str, received: Any, remedy: str) -> str:
    """The message for a value that a key cannot have: every such message has this form.

    Args:
        key: the dotted key.
        expected: what the value must be, and the reason where it is not obvious.
        received: the value.
        remedy: what to do, one or more sentences.
    """
    return f"{key} must be {expected}. Received: {key}={'null' if received is None else received}. {remedy}"


def at_least(minimum: int, remedy: str) -> Domain:
    expected = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
    return Domain(expected, lambda value: value >= minimum, remedy)


def one_of(*names: str) -> Domain:
    return Domain(f"one of {', '.join(names)}", lambda value: value in names, f"For example {names[0]}.")


def subset(part: str) -> Domain:
    """The number of images to take from a part of the data set; None for all."""
    return Domain(
        "a positive integer or null", lambda value: value is None or value >= 1, f"null takes every {part} image."
    )
