"""The file of `model.factory`, found without importing anything, and its part in a run's identity."""

import sys

import pytest

from src import config
from src.config import Config, ConfigError, ModelConfig, contradictions, fingerprinted, source_digest
from src.recording import fingerprint


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder on Python's path."""
    monkeypatch.syspath_prepend(tmp_path)
    source_digest.cache_clear()
    return tmp_path


@pytest.mark.parametrize("factory", ["mymodel", "mymodel.build", "mymodel:", ":build", "my-model:build", "a:b:c"])
def test_a_factory_is_spelled_package_module_function(factory):
    (refused,) = config.refusals(Config(model=ModelConfig(factory=factory)))
    assert refused.startswith("model.factory must be package.module:function or null. Received: ")


def test_a_module_that_is_not_there_is_refused_and_no_module_is_imported(modules):
    (modules / "fine_model.py").write_text("raise RuntimeError\n")
    (modules / "folder").mkdir()
    (modules / "folder" / "part.py").write_text("raise RuntimeError\n")
    for factory in ("fine_model:build", "folder.part:build", "src.vae:build", "src.vae.conv:build"):
        assert len(source_digest(factory)) == 64
    for factory in ("no_model:build", "fine_model.part:build", "folder:build"):
        with pytest.raises(ConfigError, match=f"can be imported from .* Received: model.factory={factory}. "):
            source_digest(factory)
    assert "fine_model" not in sys.modules


@pytest.mark.parametrize(("key", "value"), [("hidden_dims", [32]), ("activation", "tanh")])
def test_layers_of_the_perceptron_contradict_a_factory(key, value):
    model = ModelConfig(factory="src.vae.conv:build", **{key: value})
    (refused,) = contradictions(Config(model=model))
    assert refused.startswith(f"model.{key} must be left out with model.factory")
    assert contradictions(Config(model=ModelConfig(factory="src.vae.conv:build"))) == []


def test_the_code_of_a_factory_is_part_of_the_fingerprint_and_other_runs_keep_theirs(modules):
    assert "model.factory" not in fingerprinted(Config())
    digests, found = [], []
    for text in ("def build(): ...\n", "def build(): return\n"):
        (modules / "versions_model.py").write_text(text)
        source_digest.cache_clear()
        digests.append(source_digest("versions_model:build"))
        found.append(fingerprint(Config(model=ModelConfig(factory="versions_model:build"))))
    assert len({*digests}) == len({*found, fingerprint(Config())}) - 1 == 2


def test_the_file_of_the_projects_own_factory_is_that_of_its_recorded_runs():
    """Any edit of src/vae/conv.py, a comment too, makes other runs of all that `model=conv` has recorded."""
    assert source_digest("src.vae.conv:build").startswith("8dad1fe0f08d")
