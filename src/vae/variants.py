"""Tables of variants that a setting chooses by name."""

from typing import TypeVar

from src.config import refusal

Entry = TypeVar("Entry")


class Variants(dict[str, Entry]):
    """The variants of a setting by name. A new variant is a new entry. An unknown name raises ValueError."""

    def __init__(self, setting: str, entries: dict[str, Entry]):
        super().__init__(entries)
        self.setting = setting

    def __missing__(self, name: str) -> Entry:
        raise ValueError(refusal(self.setting, f"one of {', '.join(self)}", name, f"For example {next(iter(self))}."))
