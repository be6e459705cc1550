"""The one form of a refusal: what was wrong, what was expected, what was received, the remedy."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple


class ConfigError(ValueError):
    """A setting or an argument that cannot be used. The message has the form of `refusal`."""


def refusal(key: str, expected: str, received: Any, remedy: str) -> str:
    """The message for a value that a key cannot have. `expected` gives the reason too, where it is not obvious."""
    return f"{key} must be {expected}. Received: {key}={'null' if received is None else received}. {remedy}"


class Domain(NamedTuple):
    """The values that a key admits: the end of the sentence "KEY must be ...", a test, and the remedy for others."""

    expected: str
    admits: Callable[[Any], bool]
    remedy: str

    def refusals(self, key: str, value: Any) -> list[str]:
        """The refusal of a value; none where it is admitted."""
        return [] if self.admits(value) else [refusal(key, self.expected, value, self.remedy)]


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: Any, least: int = 1) -> bool:
    """Whether a value is an integer of at least `least`."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def at_least(least: int, remedy: str) -> Domain:
    expected = "a positive integer" if least == 1 else f"an integer of at least {least}"
    return Domain(expected, lambda value: is_count(value, least), remedy)


def positive(remedy: str) -> Domain:
    return Domain("a positive finite number", lambda value: is_number(value) and value > 0, remedy)


def one_of(*names: str) -> Domain:
    return Domain(f"one of {', '.join(names)}", lambda value: value in names, f"For example {names[0]}.")


def or_null(domain: Domain) -> Domain:
    return Domain(f"{domain.expected} or null", lambda value: value is None or domain.admits(value), domain.remedy)
