"""`python -m src.diagnose`: the answer for a model that a run left, and refusals."""

import subprocess
import sys

import pytest

from src import ROOT, diagnose
from src.vae import VAE
from tests.vae.models import saved

SMALL = ("data.train_size=300", "data.test_size=10", "probe.images=20")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The model of a run, with the run's settings beside it."""
    return saved(VAE(hidden_dims=(8,)), tmp_path_factory.mktemp("run"))


def test_the_model_of_a_run_is_diagnosed_with_the_runs_settings(model):
    command = [sys.executable, "-m", "src.diagnose", str(model), "probe.images=20"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for part in ("300 images of mnist", "B=50", "adam", "encoder", "infinity", "K=", str(model.with_suffix(""))):
        assert part in done.stdout
    assert model.with_suffix(".diagnosis.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_typed_comes_after_what_the_run_says(model):
    of_run = diagnose.of_run(model, [])
    assert {"batch_size=50", 'optimizer="adam"', 'data.pixels="dynamic"'} <= set(of_run)
    assert not any(item.startswith("data.") for item in diagnose.of_run(model, ["data=idx"]))
    config = diagnose.configured([*of_run, "batch_size=7"])
    assert (config.batch_size, config.optimizer, config.data.train_size) == (7, "adam", 300)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["MODEL.keras", "=null"]),
        (["--all"], ["MODEL.keras=--all"]),
        (["nowhere.keras"], ["MODEL.keras=nowhere.keras"]),
        (["MODEL", "epochs=3"], ["epochs=3", "data, batch_size"]),
        (["MODEL", "batch_size=0"], ["batch_size=0"]),
        (["MODEL", "data=mnits"], ["mnits"]),
        (["MODEL", "data=linear_gaussian"], ["784 pixels", "linear_gaussian of 16"]),
        (["TEXT"], ["MODEL.keras", "text.keras"]),
        (["OTHER", *SMALL], ["MODEL.keras=Sequential"]),
    ],
)
def test_a_wrong_command_is_refused_with_one_message(arguments, parts, model, tmp_path, monkeypatch, capsys):
    import keras

    text, other = tmp_path / "text.keras", tmp_path / "other.keras"
    text.write_text("no model")
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(other)
    named = {"MODEL": str(model), "TEXT": str(text), "OTHER": str(other)}
    monkeypatch.setattr(sys, "argv", ["src.diagnose", *(named.get(item, item) for item in arguments)])
    with pytest.raises(SystemExit) as left:
        diagnose.main()
    assert left.value.code == 2
    message = capsys.readouterr().err
    for part in parts:
        assert part in message
    assert "Traceback" not in message
