"""The walk-through runs, and what is committed of it is small, complete and of no machine."""

import os
import re
import subprocess
import sys

import jupytext
import nbformat
import pytest

from docs.walkthrough.__main__ import HERE
from src import ROOT

FIGURES = 7  # curves, reconstructions, manifold, latent space, both, the grid's panel alone and in a row


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page of a quick run."""
    folder = tmp_path_factory.mktemp("walkthrough")
    quick = os.environ | {"EPOCHS": "1", "IMAGES": "2000", "BATCH_SIZES": "100"}
    subprocess.run([sys.executable, "-m", "docs.walkthrough", str(folder)], cwd=ROOT, env=quick, check=True)
    return (folder / "walkthrough.html").read_text()


def test_a_quick_run_has_every_figure_and_an_untrained_loss_of_784_ln_2(made):
    assert made.count("data:image/png;base64") == FIGURES
    assert float(re.search(r"untrained: ([\d.]+) nats/image", made)[1]) == pytest.approx(543.43, abs=1.0)


def test_the_page_needs_nothing_else(made):
    assert "<script" not in made
    assert not re.search(r'(?:src|href)="https?:', made)


def test_the_committed_result_is_of_the_committed_file():
    source, result = jupytext.read(HERE / "walkthrough.py"), nbformat.read(HERE / "walkthrough.ipynb", as_version=4)
    assert [cell.source for cell in source.cells] == [cell.source for cell in result.cells]
    assert not [output for cell in result.cells for output in cell.get("outputs", ()) if output.output_type == "error"]


def test_the_committed_result_is_small_and_names_no_folder_of_a_machine():
    files = [HERE / "walkthrough.ipynb", HERE / "walkthrough.html"]
    assert sum(file.stat().st_size for file in files) < 1_500_000
    for file in files:
        assert not re.search(r"/(?:home|root|tmp|Users|work)/", file.read_text())
