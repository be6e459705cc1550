"""Durations in text, such as 90s, 30m or 2h."""

import re

UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
PATTERN = re.compile(r"(?=.*[1-9])([0-9]+(?:\.[0-9]+)?)([smh]?)")  # a digit above 0 makes it positive


def is_duration(text: object) -> bool:
    """Whether a text is a positive duration."""
    return PATTERN.fullmatch(str(text)) is not None


def is_interval(text: object) -> bool:
    """Whether a text is a positive number of epochs or a duration with its unit."""
    return is_duration(text) and (str(text).isdecimal() or str(text)[-1].isalpha())


def duration(text: object) -> float:
    """The seconds in a positive duration; a bare number is seconds. Raises ValueError for any other text."""
    match = PATTERN.fullmatch(str(text))
    if match is None:
        raise ValueError(f"Expected a positive duration such as 90s, 30m or 2h. Received: {text}.")
    return float(match[1]) * UNIT_SECONDS[match[2]]
