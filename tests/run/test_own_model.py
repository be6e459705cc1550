"""The page "Use it on your model", as a user follows it."""

import re

import keras
import numpy as np
import pytest

from src import ROOT, schema
from src.config import Config, ConfigError, ModelConfig
from src.schema import probed_layers
from src.sweep import factories
from src.vae import VAE
from tests.commands import BRIEF, Workplace

PAGE = (ROOT / "docs" / "own_model.md").read_text()
MODEL, DIAGNOSIS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_pages_example_is_trained_probed_and_recorded_with_its_code(tmp_path, monkeypatch):
    (tmp_path / "mymodel.py").write_text(MODEL)
    place = Workplace(tmp_path)
    given = ("model.factory=mymodel:build", "mc_samples=2", "epochs=1", "probe.images=8", BRIEF[1])
    done = place.train(*given, environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    (run,) = place.ledgers()
    assert run.status == schema.FINISHED
    assert run.params["model.factory"] == "mymodel:build"
    assert len(run.params[schema.FACTORY_CODE]) == 64
    layers = {"encoder_0", "encoder_1", "q_mean", "q_log_var", "decoder_0", "decoder_1", "output"}
    assert probed_layers(run.latest()) == layers
    monkeypatch.syspath_prepend(tmp_path)
    vae = keras.saving.load_model(run.folder / schema.MODEL_FILE)
    assert isinstance(vae, VAE)
    assert vae.settings["factory"] == "mymodel:build"


def test_the_pages_diagnosis_can_be_pasted(tmp_path, monkeypatch, capsys):
    (tmp_path / "mymodel.py").write_text(MODEL)
    np.savez(tmp_path / "own.npz", x_train=np.random.default_rng(0).integers(0, 256, (70, 28, 28), np.uint8))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {}
    exec(DIAGNOSIS, names)
    assert f"{names['found']}" in capsys.readouterr().out
    assert len(names["figure"].axes) == 2


def test_an_unfit_factory_is_refused_before_anything_is_made(tmp_path):
    place = Workplace(tmp_path)
    refused = place.train("-m", "model.factory=tests.vae.own:dropout", "mc_samples=1,2")
    assert refused.returncode == 2
    assert refused.stderr.startswith("model.factory must be a function ")
    assert "Received: model.factory=tests.vae.own:dropout (Unfit: its encoder differs " in refused.stderr
    assert place.ledgers() == []


def test_a_factory_that_ends_the_process_is_refused():
    with pytest.raises(ConfigError, match="must be a function whose module does not end the process"):
        factories.ensure([Config(model=ModelConfig(factory="tests.vae.own:ending"))])
