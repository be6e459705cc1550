"""The values that a key admits, and the message for any other."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Domain(NamedTuple):
    """The values that a key admits: in words that follow "KEY must be", as a test, and what to do about any other."""

    expected: str
    admits: Callable[[Any], bool]
    remedy: str


def at_least(minimum: int, remedy: str) -> Domain:
    expected = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
    return Domain(expected, lambda value: value >= minimum, remedy)


def one_of(*names: str) -> Domain:
    return Domain(f"one of {', '.join(names)}", lambda value: value in names, f"For example {names[0]}.")


def or_null(domain: Domain) -> Domain:
    return Domain(f"{domain.expected} or null", lambda value: value is None or domain.admits(value), domain.remedy)
