"""Programs that are compiled once: the same numbers as programs of one's own, and nothing traced twice."""

from dataclasses import replace

import numpy as np
import pytest

from src import data
from src.config.settings import Config, DataConfig, ProbeConfig
from src.vae import Evaluator, Probe, programs_for, train
from src.vae.programs import Programs
from src.vae.training import EpochTrainer
from tests.conftest import small

TRACED = ((EpochTrainer, "step"), (Probe, "draws"), (Evaluator, "accumulate"))


def cell(seed: int, **changes: object) -> Config:
    """A small run with binarised pixels, so that the images and both streams depend on the seed."""
    return small(seed=seed, data=DataConfig(train_size=250, test_size=120, pixels="dynamic"), **changes)


def results(compiled: Programs, config: Config) -> list[np.ndarray]:
    """All that a run takes from its programs: the record of its steps, probes, scores and the weights at the end."""
    config.probe = ProbeConfig(images=20, draws=3)
    dataset = data.load(config.data, config.seed)
    compiled.begin(config, dataset)
    trainer, probe = compiled.trainer(config, dataset), compiled.probe(config, dataset)
    records = []
    train(trainer, config, records.append)
    steps = [record.steps[name] for record in records for name in sorted(record.steps)]
    probed = np.array(list(probe(2).values()))
    evaluator = compiled.evaluator("test", dataset.test)
    scores = [*evaluator.score(3), evaluator.subset(30).score(3).nll, evaluator.quadrature().per_image]
    return [*steps, probed, *scores, *(np.asarray(variable) for variable in compiled.vae.variables)]


@pytest.fixture
def traced(monkeypatch) -> list[str]:
    """The names of what TensorFlow traces: their Python code runs then only."""
    names = []
    for owner, name in TRACED:
        called = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, n=name, c=called, **k: names.append(n) or c(*a, **k))
    return names


def test_runs_that_differ_in_seed_rate_and_length_trace_nothing_and_have_the_numbers_of_their_own_programs(traced):
    configs = [cell(0), cell(1, learning_rate=3e-3, epochs=3), cell(0)]
    shared = programs_for(configs[0], data.load(configs[0].data, 0))
    found = [results(shared, configs[0])]
    assert set(traced) >= {"step", "draws", "accumulate"}
    traced.clear()
    found += [results(shared, config) for config in configs[1:]]
    assert traced == []
    alone = results(Programs(configs[1], data.load(configs[1].data, 1)), configs[1])
    for one, two in zip(found[1], alone, strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(found[0], found[2], strict=True):
        np.testing.assert_array_equal(one, two)
    differing = [(one != two).any() for one, two in zip(found[0][:4], found[1][:4], strict=True)]
    assert all(differing)  # power: another seed has other numbers


@pytest.mark.parametrize("change", [{"mc_samples": 2}, {"batch_size": 50}, {"kl": "sampled"}, {"alpha": 0.5}])
def test_what_changes_a_shape_or_an_estimator_is_another_program(traced, change):
    first, other = cell(0), cell(0, **change)
    dataset = data.load(first.data, 0)
    shared = programs_for(first, dataset)
    assert shared.trainer(other, dataset) is not shared.trainer(first, dataset)
    assert shared.probe(other, dataset) is not shared.probe(first, dataset)
    assert shared.trainer(other, dataset) is shared.trainer(other, dataset)


def test_the_model_has_the_settings_of_its_run():
    first, dataset = cell(0), data.load(cell(0).data, 0)
    programs_for(first, dataset)
    vae = programs_for(replace(first, seed=5, mc_samples=7), dataset).vae
    assert (vae.get_config()["seed"], vae.get_config()["mc_samples"]) == (5, 7)
    assert vae(dataset.test[:2]).shape == (2, 7, 784)


def test_another_model_or_data_set_replaces_the_programs():
    first = cell(0)
    dataset = data.load(first.data, 0)
    kept = programs_for(first, dataset)
    assert programs_for(replace(first, seed=5, mc_samples=7, epochs=9), dataset) is kept
    assert programs_for(replace(first, optimizer="adam"), dataset) is not kept
    assert programs_for(first, dataset) is not kept  # only the latest are held
