"""The tiers of the tests, small real data, and the settings of small real runs."""

import os
from pathlib import Path

# Before TensorFlow is imported by any test.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.pop("MLFLOW_TRACKING_URI", None)
# Commands that tests run share their compiled programs, and leave the user's alone.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parents[1] / ".pytest_cache" / "user")

import hypothesis
import pytest

from src import data
from src.config.settings import Config, DataConfig, EvaluationConfig
from tests.commands import listen_to_signals

listen_to_signals()
# No example is too slow.
PATIENT = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("patient", **PATIENT)
hypothesis.settings.load_profile("patient")

# What `make test` leaves to `make test-more`: folders and files of this one.
SECOND_TIER = ("benchmarks", "browser", "docs", "faults")
# They run whole commands. Begun first, or one worker is left alone with them at the end.
LONGEST = ("test_faults", "test_resume", "test_end_to_end")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(here / part) for part in SECOND_TIER):
            item.add_marker("second")
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def small(**changes: object) -> Config:
    """A configuration of 250 training and 120 test digits, three steps an epoch, the last one of 50 images."""
    config = Config(
        epochs=2,
        data=DataConfig(train_size=250, test_size=120),
        evaluation=EvaluationConfig(iw_samples=3, final_iw_samples=5),
    )
    for key, value in changes.items():
        setattr(config, key, value)
    return config


@pytest.fixture(scope="session")
def digits() -> data.Dataset:
    return data.load(small().data, seed=0)
