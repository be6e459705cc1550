"""Durations in text, such as 90s, 30m or 2h."""

import re

UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
PATTERN = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")


def is_duration(text: object) -> bool:
    """Whether a text is a positive duration."""
    match = PATTERN.fullmatch(str(text))
    return match is not None and float(match[1]) > 0


def duration(text: object) -> float:
    """The seconds in a text such as 90s, 30m or 2h; a bare number is seconds.

    Raises:
        ValueError: the text is no positive duration.
    """
    match = PATTERN.fullmatch(str(text))
    if match is None or float(match[1]) == 0:
        raise ValueError(f"Expected a positive duration such as 90s, 30m or 2h. Received: {text}.")
    return float(match[1]) * UNIT_SECONDS[match[2]]


def is_interval(text: object) -> bool:
    """Whether a text is a positive number of epochs or a duration with its unit."""
    return int(str(text)) >= 1 if str(text).isdecimal() else is_duration(text) and str(text)[-1] in "smh"


def clock(seconds: float) -> str:
    """Seconds as 42s, 3m05s or 2h10m."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
