"""The CHANGELOG says of every entry whether it changes recorded numbers, and the numerics' version follows."""

import re

from src import ROOT, schema


def test_every_entry_says_whether_it_changes_numbers_and_each_yes_is_counted():
    text = (ROOT / "CHANGELOG.md").read_text()
    entries = re.findall(r"^- .*?(?=^- |^## |\Z)", text, re.MULTILINE | re.DOTALL)
    answers = [re.search(r"\(changes recorded numbers: (yes|no)\)\s*$", entry) for entry in entries]
    assert entries
    assert all(answers)
    assert sum(answer[1] == "yes" for answer in answers) == schema.NUMERICS
