"""The function of `model.factory`, found without importing anything, and its part in a run's identity."""

import sys

import pytest

from src import config
from src.config import Config, ModelConfig, contradictions, factories, factory_problems, fingerprinted, source_digest
from src.recording import fingerprint


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder on Python's path."""
    monkeypatch.syspath_prepend(tmp_path)
    factories.source.cache_clear()
    return tmp_path


@pytest.mark.parametrize("factory", ["mymodel", "mymodel.build", "mymodel:", ":build", "my-model:build", "a:b:c"])
def test_a_factory_is_spelled_package_module_function(factory):
    (problem,) = config.refusals(Config(model=ModelConfig(factory=factory)))
    assert problem.startswith(
        f"model.factory must be package.module:function or null. Received: model.factory={factory}. "
    )


def test_a_module_or_function_that_is_not_there_is_refused_without_importing(modules):
    (modules / "fine_model.py").write_text(
        "raise RuntimeError\ndef build(pixels, latent_dim, seed): ...\nother = build\n"
    )
    (modules / "broken_model.py").write_text("def build(:\n")
    (modules / "folder").mkdir()
    assert factory_problems("fine_model:build") == []
    for factory, told in {
        "no_model:build": "in a module that can be imported from",
        "fine_model.part:build": "and fine_model.part is none with a Python file",
        "folder:build": "and folder is none with a Python file",
        "broken_model:build": "in a module of sound Python",
        "fine_model:other": "fine_model.py defines: build. Received",
        "fine_model:bild": "fine_model.py defines: build. Received",
    }.items():
        (problem,) = factory_problems(factory)
        assert problem.startswith("model.factory must be ")
        assert told in problem
        assert f"Received: model.factory={factory}. " in problem
    assert not {"fine_model", "broken_model"} & set(sys.modules)
    assert factory_problems("src.vae.conv:build") == []


@pytest.mark.parametrize(("key", "value"), [("hidden_dims", [32]), ("activation", "tanh")])
def test_layers_of_the_perceptron_contradict_a_factory(key, value):
    model = ModelConfig(factory="src.vae.conv:build", **{key: value})
    (problem,) = contradictions(Config(model=model))
    assert problem.startswith(f"model.{key} must be left out with model.factory")
    assert contradictions(Config(model=ModelConfig(factory="src.vae.conv:build"))) == []


def test_the_code_of_a_factory_is_part_of_the_fingerprint_and_other_runs_keep_theirs(modules):
    assert "model.factory" not in fingerprinted(Config())
    digests, found = [], []
    for text in ("def build(): ...\n", "def build(): return\n"):
        (modules / "versions_model.py").write_text(text)
        factories.source.cache_clear()
        digests.append(source_digest("versions_model:build"))
        found.append(fingerprint(Config(model=ModelConfig(factory="versions_model:build"))))
    assert len({*digests}) == len({*found, fingerprint(Config())}) - 1 == 2
