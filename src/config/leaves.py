"""The configuration as a list: every leaf with what is declared of it, and which of them identify a run."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from src.config.domains import Domain
from src.config.settings import Config
from src.refusal import refusal


class Setting(NamedTuple):
    """A leaf of the configuration: its dotted key, its value, and what `setting` declares."""

    key: str
    value: Any
    meaning: str
    domain: Domain | None
    identity: bool
    added: bool


def settings(section: Any, prefix: str = "") -> Iterator[Setting]:
    """Every leaf below a section, in the order of declaration."""
    for leaf in fields(section):
        value = getattr(section, leaf.name)
        if is_dataclass(value):
            yield from settings(value, f"{prefix}{leaf.name}.")
        else:
            yield Setting(prefix + leaf.name, value, **leaf.metadata)


def problems(config: Config) -> list[str]:
    """The settings outside of their domains, each by itself; empty where there are none."""
    return [
        refusal(leaf.key, leaf.domain.expected, leaf.value, leaf.domain.remedy)
        for leaf in settings(config)
        if leaf.domain is not None and not leaf.domain.admits(leaf.value)
    ]


def flatten(config: Config) -> dict[str, Any]:
    """The configuration as {dotted key: value}."""
    return {leaf.key: leaf.value for leaf in settings(config)}


def identifying(config: Config) -> dict[str, Any]:
    """What `flatten` gives, without machinery: the settings that are part of a run's identity."""
    return {leaf.key: leaf.value for leaf in settings(config) if leaf.identity}


def fingerprinted(config: Config) -> dict[str, Any]:
    """What `identifying` gives, without the null of keys that are younger than runs: these had no such key."""
    return {
        leaf.key: leaf.value for leaf in settings(config) if leaf.identity and not (leaf.added and leaf.value is None)
    }


def machinery_keys() -> tuple[str, ...]:
    """The dotted keys of the settings that are not part of a run's identity."""
    return tuple(leaf.key for leaf in settings(Config()) if not leaf.identity)
