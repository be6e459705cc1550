"""What a key admits, and the message for what it does not."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from src import config
from src.config import Config, DataConfig, ModelConfig
from src.sweep.compose import typed


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("mc_samples", 0, "a positive integer"),
        ("batch_size", -1, "a positive integer"),
        ("seed", -1, "an integer in [0, 2^63)"),
        ("epochs", 0, "a positive integer"),
        ("learning_rate", 0.0, "a positive finite number"),
        ("learning_rate", float("nan"), "a positive finite number"),
        ("learning_rate", float("inf"), "a positive finite number"),
        ("optimizer", "rmsprp", "one of rmsprop, adam, sgd"),
        ("alpha", 1.0, "a number in [0, 1) or null"),
        ("alpha", -0.1, "a number in [0, 1) or null"),
        ("alpha", float("nan"), "a number in [0, 1) or null"),
    ],
)
def test_a_wrong_value_names_key_expectation_and_value(key, value, expected):
    (problem,) = config.refusals(Config(**{key: value}))
    assert problem.startswith(f"{key} must be {expected}. Received: {key}={value}. ")


def test_nested_keys_are_named_in_full():
    wrong = Config(data=DataConfig(pixels="grey", train_size=0), model=ModelConfig(hidden_dims=[200, 0]))
    keys = [problem.split()[0] for problem in config.refusals(wrong)]
    assert keys == ["data.pixels", "data.train_size", "model.hidden_dims"]


def test_the_defaults_are_the_posts_and_sound():
    assert config.refusals(Config()) == []
    flat = config.flatten(Config())
    assert (flat["mc_samples"], flat["batch_size"], flat["seed"], flat["epochs"]) == (1, 100, 0, 10)
    assert (flat["optimizer"], flat["model.hidden_dims"], flat["model.latent_dim"]) == ("rmsprop", [256], 2)


def test_machinery_is_not_part_of_a_runs_identity():
    machinery, flat = config.machinery_keys(), config.flatten(Config())
    assert {key for key in machinery if not key.startswith(("study.", "tracking."))} == {
        "compile_cache",
        "data.path",
        "model.name",
        "checkpoint.every",
    }
    assert {key for key in flat if key.startswith(("study.", "tracking."))} <= {*machinery}
    assert config.identifying(Config()) == {key: value for key, value in flat.items() if key not in machinery}


def test_a_key_that_was_added_is_part_of_the_fingerprint_where_it_is_set():
    """Runs from before these keys have none of them in theirs."""
    default, whole = config.fingerprinted(Config()), config.identifying(Config())
    assert whole.keys() - default.keys() == {"alpha", "model.factory"}
    assert config.fingerprinted(Config(alpha=0.0)) == default | {"alpha": 0.0}
    assert default["data.train_size"] is None  # power: a null of theirs stays


def test_lists_are_not_shared_between_configurations():
    Config().model.hidden_dims.append(3)
    assert Config().model.hidden_dims == [256]


@given(
    mc_samples=st.integers(1, 10**6),
    learning_rate=st.floats(1e-12, 1e3),
    train_size=st.none() | st.integers(1, 60_000),
    hidden_dims=st.lists(st.integers(1, 4096), max_size=4),
)
def test_a_configuration_survives_the_round_trip_through_yaml(mc_samples, learning_rate, train_size, hidden_dims):
    original = Config(
        mc_samples=mc_samples,
        learning_rate=learning_rate,
        data=DataConfig(train_size=train_size),
        model=ModelConfig(hidden_dims=hidden_dims),
    )
    text = OmegaConf.to_yaml(OmegaConf.structured(original))
    assert typed(OmegaConf.create(text)) == original


def test_checking_a_grid_imports_neither_tensorflow_nor_mlflow():
    program = "import sys, src.train; print(sorted({'tensorflow', 'keras', 'mlflow'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
