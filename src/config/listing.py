"""The configuration as a list of entries, and which of them identify a run."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from src.config.settings import Config
from src.refusal import Domain


class Entry(NamedTuple):
    """A dotted key of the configuration with its value, and what `setting` declares of it."""

    key: str
    value: Any
    meaning: str
    domain: Domain | None
    identity: bool
    added: bool


def entries(section: Any, prefix: str = "") -> Iterator[Entry]:
    """Every entry of a section and the sections in it, in the order of declaration."""
    for item in fields(section):
        value = getattr(section, item.name)
        if is_dataclass(value):
            yield from entries(value, f"{prefix}{item.name}.")
        else:
            yield Entry(prefix + item.name, value, **item.metadata)


def refusals(config: Config) -> list[str]:
    """The refusals of settings outside of their domains, each by itself; empty where there are none."""
    return [text for entry in entries(config) if entry.domain for text in entry.domain.refusals(entry.key, entry.value)]


def flatten(config: Config) -> dict[str, Any]:
    """The configuration as {dotted key: value}."""
    return {entry.key: entry.value for entry in entries(config)}


def identifying(config: Config) -> dict[str, Any]:
    """`flatten` without machinery: the settings that are part of a run's identity."""
    return {entry.key: entry.value for entry in entries(config) if entry.identity}


def fingerprinted(config: Config) -> dict[str, Any]:
    """What the fingerprint of a run contains: `identifying`; later-added keys that are still null are left out."""
    return {e.key: e.value for e in entries(config) if e.identity and not (e.added and e.value is None)}


def machinery_keys() -> tuple[str, ...]:
    """The dotted keys of the settings that are not part of a run's identity."""
    return tuple(entry.key for entry in entries(Config()) if not entry.identity)
