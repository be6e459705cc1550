"""The tables of what a user can choose by name: samplers, likelihoods, objectives and gradient estimators."""

from typing import TypeVar

from src.config import refusal

Entry = TypeVar("Entry")


class Variants(dict[str, Entry]):
    """The variants of a setting by name. A new one is a new entry.

    Args:
        setting: the setting whose values are the names.
        entries: the variants.
    Raises:
        ValueError: on looking up an unknown name.
    """

    def __init__(self, setting: str, entries: dict[str, Entry]):
        super().__init__(entries)
        self.setting = setting

    def __missing__(self, name: str) -> Entry:
        raise ValueError(refusal(self.setting, f"one of {', '.join(self)}", name, f"For example {next(iter(self))}."))
