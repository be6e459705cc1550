"""The house: a room is entered by its face, and a test lies in the room of what it tests."""

import ast
from pathlib import Path

import pytest

from src import ROOT

ROOMS = sorted(path.parent.name for path in (ROOT / "src").glob("*/__init__.py"))


def imports(file: Path) -> list[str]:
    """The modules that a file imports from."""
    nodes = ast.walk(ast.parse(file.read_text()))
    return [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]


@pytest.mark.parametrize("room", ROOMS)
def test_other_rooms_are_entered_by_their_faces(room):
    for file in (ROOT / "src" / room).glob("*.py"):
        behind = [name for name in imports(file) if name.count(".") > 1 and name.split(".")[:2] != ["src", room]]
        assert [name for name in behind if name.startswith("src.")] == [], file


def test_a_room_has_its_tests():
    assert set(ROOMS) <= {path.name for path in (ROOT / "tests").iterdir()}
