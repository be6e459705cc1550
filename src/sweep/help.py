"""The text of --help, and the reason and remedy of a refused command."""

import difflib
import re
import sys
from pathlib import Path
from typing import NoReturn

from src.config import Config, entries, refusal
from src.writing import aligned, render

GROUPS = ("data", "model")
# The exit code of a command that is refused.
USAGE_ERROR = 2


def help_text() -> str:
    """Every key with its default, meaning and domain, from the configuration itself."""
    rows = []
    for entry in entries(Config()):
        default = str("null" if entry.value is None else entry.value).replace(" ", "")
        domain = f" ({entry.domain.expected})" if entry.domain else ""
        rows.append((f"{entry.key}={default}", f"{entry.meaning}{domain}"))
    return render(Path(__file__).with_name("help.txt.j2"), keys=aligned(rows))


def unknown_key(key: str, received: str) -> str:
    """The message for a key that is not in the configuration, with the most similar one that is."""
    known = [entry.key for entry in entries(Config())] + list(GROUPS)
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    remedy = f"Did you mean {nearest[0]}?" if nearest else "`python -m src.train --help` lists the keys."
    return (
        f"{key} is not a key of the configuration. Expected one of the keys of --help. Received: {received}. {remedy}"
    )


def wrong_type(key: str, received: str) -> str:
    """The message for a value of another type than its key's."""
    entry = next((entry for entry in entries(Config()) if entry.key == key.lstrip("+")), None)
    if entry is None:
        return unknown_key(key, f"{key}={received}")
    if entry.domain:
        return refusal(key, entry.domain.expected, received, entry.domain.remedy)
    return refusal(key, f"of type {type(entry.value).__name__}", received, f"The default is {entry.key}={entry.value}.")


def explain(error: Exception, overrides: list[str]) -> str:
    """The message for a refusal by Hydra, in the form of `refusal`; Hydra's own text where it is of no known kind."""
    text = f"{error}"
    if match := re.search(r"Could not override '([^']+)'|Key '([^']+)' (?:is )?not in", text):
        key = match[1] or match[2]
        return unknown_key(key, next((item for item in overrides if item.lstrip("+~").startswith(key)), key))
    if match := re.search(r"Error merging override (\S+?)=(.*)", text):
        return wrong_type(match[1], match[2])
    if match := re.search(r"(?:Could not find|In '[^']*': Could not find) '([^']+)/([^'/]+)'", text):
        options = ", ".join(re.findall(r"^\t(\S+)$", text, re.MULTILINE))
        place = "sweeps" if match[1] == "sweep" else f"conf/{match[1]}"
        return refusal(match[1], f"one of {options}", match[2], f"See {place}/.")
    if match := re.search(r"Unknown plugin class.* (\S+)", text, re.DOTALL):
        remedy = "Run `pip install --require-hashes -r requirements-cluster.lock`, or use hydra/launcher=pool."
        return refusal("hydra/launcher", "one that is installed, see docs/cluster.md", match[1], remedy)
    if match := re.search(r"Error parsing override '([^']*)'", text):
        return f"{match[1]} is not an override. Expected key=value. Received: {match[1]}. See --help."
    return text.strip()


def refuse(error: Exception, overrides: list[str]) -> NoReturn:
    """End the program with one message and the exit code of a refused command."""
    print(explain(error, overrides), file=sys.stderr)
    sys.exit(USAGE_ERROR)
