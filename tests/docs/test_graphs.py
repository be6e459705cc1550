"""The command that draws the model's graphs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs import graphs
from src import ROOT


def words(file: Path) -> list[str]:
    """What is written in a drawing, in alphabetical order: places differ between versions of Graphviz."""
    return sorted(re.findall(r"<text.*?>(.*?)</text>", file.read_text()))


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is missing (Debian: apt-get install graphviz)")
def test_the_committed_drawings_are_those_of_the_model(tmp_path):
    # In a process of its own, as Keras numbers the layers of a process.
    subprocess.run([sys.executable, "-m", "docs.graphs", str(tmp_path)], cwd=ROOT, check=True)
    made, committed = ({file.name: words(file) for file in folder.iterdir()} for folder in (tmp_path, graphs.FOLDER))
    assert len(made) == 10
    assert made == committed
    assert any("(None, 25, 784)" in word for word in made["vae_shapes.svg"])


def test_nodes_are_named_by_their_order():
    assert graphs.named("<!-- 139708218949968&#45;&gt;139708185891664 -->") == "<!-- node 0&#45;&gt;node 1 -->"


def test_without_graphviz_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match=r"dot must be .* apt-get install --no-install-recommends graphviz"):
        graphs.main([])
