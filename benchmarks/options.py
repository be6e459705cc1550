"""Values of the command line, with messages that say what was expected and received."""

from argparse import ArgumentTypeError


def positive(text: str) -> int:
    """A positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"expected a positive integer. Received: {text}. For example 5.")
    return int(text)


def positives(text: str) -> list[int]:
    """Positive integers between commas, each once, in their order."""
    return list(dict.fromkeys(positive(part.strip()) for part in text.split(",")))
