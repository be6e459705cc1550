"""What more draws, and annealing, change of two models' scores: means, differences and their errors."""

import json

import numpy as np
import pytest

from benchmarks.score_bias import Score, levels, main, steps
from src.vae import VAE
from tests.vae.models import saved


def test_the_error_is_over_images():
    nll = np.array([1.0, 3.0, 5.0, 3.0])
    one = [Score(way, value, nll) for way, value in (("10", nll), ("100", nll - [0.0, 1.0, 2.0, 1.0]))]
    still = [Score(way, nll, nll) for way in ("10", "100")]
    (step,) = steps(one, still)
    assert step == ("10", "100", -1.0, pytest.approx(np.sqrt(2 / 3) / 2))
    first, second = levels(one, still)
    assert first.difference == first.error == 0
    assert (second.difference, second.error) == step[2:]


def test_two_models_are_scored_in_every_way(tmp_path, capsys):
    models = [str(saved(VAE(hidden_dims=(6,), seed=seed), tmp_path / str(seed))) for seed in (0, 1)]
    output = tmp_path / "found.json"
    small = ["--draws", "5,50", "--images", "10", "--chains", "2", "--steps", "3", "--output", str(output)]
    assert main([*models, *small]) == 0
    found = json.loads(output.read_text())
    ways = [level["way"] for level in found["levels"]]
    assert ways == ["5", "50", "2 annealed from q", "2 annealed from the prior", "limit"]
    for step, before, after in zip(found["steps"], found["levels"], found["levels"][1:], strict=False):
        assert (step["way"], step["following"]) == (before["way"], after["way"])
        assert step["change"] == pytest.approx(after["difference"] - before["difference"])
        assert step["error"] > 0
    assert capsys.readouterr().out.count("\n") == len(ways) + 2


def test_a_file_that_is_no_model_is_refused(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere.keras")] * 2) == 2
    assert "Received: MODEL.keras=" in capsys.readouterr().err
