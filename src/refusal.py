"""The one form of a refusal: what was wrong, what was expected, what was received, the remedy."""

from typing import Any


class ConfigError(ValueError):
    """A setting or an argument that cannot be used. The message has the form of `refusal`."""


def refusal(key: str, expected: str, received: Any, remedy: str) -> str:
    """The message for a value that a key cannot have. `expected` gives the reason too, where it is not obvious."""
    return f"{key} must be {expected}. Received: {key}={'null' if received is None else received}. {remedy}"
