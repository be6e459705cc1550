"""Forked runs: one trunk for all cells of a seed, bit for bit, whoever trains it and whatever happens meanwhile."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from src import data, schema
from src.config import Config, ModelConfig, ProbeConfig, TrackingConfig, contradictions
from src.config.settings import EvaluationConfig, ForkConfig
from src.recording import Checkpointer, Ledger, Runs, checkpoint, cost, fingerprint, held
from src.run import cell, fork
from src.vae import VAE, gradients, make_trainer, training
from tests.commands import CLOCKED, wait_until
from tests.conftest import small

pytestmark = pytest.mark.timeout(900)
MODEL = ModelConfig(hidden_dims=[16], latent_dim=3)
Numbers = dict[tuple[str, int], str]  # as text, in which NaN equals itself


def forked(folder: Path, epochs: int = 1, **changes: object) -> Config:
    """A small run of three epochs, forked after the first one or two, with its trunks in this folder."""
    forking = ForkConfig(epochs=epochs, **changes.pop("fork", {}))
    tracking = TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db", runs=str(folder))
    common = {"epochs": 3, "model": MODEL, "tracking": tracking, "probe": ProbeConfig(epochs=[]), "fork": forking}
    return small(**(common | changes))


class Start:
    """A run before its first epoch, without what scores and records it."""

    def __init__(self, config: Config):
        self.config, self.reported = config, []
        dataset = data.load(config.data, config.seed)
        self.vae, optimizer = VAE.from_settings(config, 784), training.make_optimizer(config)
        optimizer.build(gradients.variables_of(self.vae))
        folder = Path(config.tracking.runs)
        self.checkpointer = Checkpointer(folder, "1000", [*self.vae.variables, *optimizer.variables])
        self.make = partial(make_trainer, self.vae, dataset, optimizer=optimizer)

    def reach_fork(self, done: int = 0, make: Callable | None = None) -> int:
        """Its digest at the fork."""
        reached = fork.reach_fork(
            self.config, make or self.make, self.checkpointer, lambda *epoch: self.reported.append(epoch), done
        )
        assert reached == self.config.fork.epochs
        return fork.digest(self.checkpointer.variables)


def refused(_: Config) -> None:
    raise AssertionError("the trunk is trained again")


@pytest.fixture(scope="module")
def at_fork(tmp_path_factory) -> int:
    """The digest of the trunk of seed 0, K=1."""
    return Start(forked(tmp_path_factory.mktemp("trunk"))).reach_fork()


SIBLINGS = [
    {"mc_samples": 5},
    {"mc_samples": 4, "noise": "antithetic"},
    {"mc_samples": 4, "noise": "sobol"},
    {"mc_samples": 3, "kl": "sampled", "gradient": "stl"},
    {"mc_samples": 5, "objective": "vr_iwae", "alpha": 0.5, "kl": "sampled", "gradient": "dreg"},
    {
        "batch_size": 50,
        "learning_rate": 1e-2,
        "learning_rate_schedule": "burda",
        "fork": {"batch_size": 100, "learning_rate": 1e-3},
    },
]


@pytest.mark.parametrize("changes", SIBLINGS, ids=str)
def test_siblings_pass_through_the_same_state_though_each_trains_its_trunk_itself(tmp_path, at_fork, changes):
    assert Start(forked(tmp_path, **changes)).reach_fork() == at_fork


@pytest.mark.parametrize("changes", [{"seed": 1}, {"fork": {"mc_samples": 2}}, {"epochs": 2}], ids=str)
def test_another_trunk_has_another_digest(tmp_path, at_fork, changes):
    assert Start(forked(tmp_path, **changes)).reach_fork() != at_fork


def test_siblings_and_only_they_share_a_folder(tmp_path, monkeypatch):
    homes = {fork.home(forked(tmp_path, **changes)) for changes in SIBLINGS}
    config = forked(tmp_path)
    for scored in ({"evaluation": EvaluationConfig(iw_samples=7)}, {"probe": ProbeConfig(draws=9)}, {"epochs": 9}):
        homes.add(fork.home(small(**(vars(config) | scored))))
    assert homes == {fork.home(config)}
    strangers = [
        {"seed": 1},
        {"fork": {"mc_samples": 2}},
        {"epochs": 2},
        {"batch_size": 50},
        {"fork": {"batch_size": 50}},
        {"learning_rate": 1e-2},
        {"fork": {"learning_rate": 2e-3}},
        {"optimizer": "adam"},
        {"model": ModelConfig(hidden_dims=[17], latent_dim=3)},
    ]
    homes |= {fork.home(forked(tmp_path, **changes)) for changes in strangers}
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    homes.add(fork.home(config))
    monkeypatch.setattr("src.recording.provenance.cpu_name", lambda: "another processor")
    homes.add(fork.home(config))
    assert len(homes) == 1 + 8 + 2  # with B=50 the trunk is that with fork.batch_size=50


def test_a_digest_is_exact_as_a_float(at_fork):
    assert 2**32 < at_fork < 2**48
    assert int(float(at_fork)) == at_fork
    one = np.arange(6, dtype=np.float32)
    assert fork.digest([one, one + 1]) == fork.digest([one.copy(), one + 1]) != fork.digest([one + 1, one])


def test_a_damaged_trunk_is_trained_anew(tmp_path, at_fork, caplog):
    first = Start(forked(tmp_path))
    assert first.reach_fork() == at_fork
    path = fork.home(first.config) / checkpoint.FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert Start(forked(tmp_path, mc_samples=5)).reach_fork() == at_fork
    assert "is damaged" in caplog.text
    assert Start(forked(tmp_path, mc_samples=2)).reach_fork(make=refused) == at_fork


def test_a_trunk_that_cannot_be_kept_stops_no_run(tmp_path, at_fork, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    assert Start(forked(tmp_path)).reach_fork() == at_fork
    assert "No checkpoint after epoch 1 ([Errno 28] No space left on device)" in caplog.text


def test_a_continued_run_takes_a_trunk_and_reports_what_it_lacks_but_leaves_none(tmp_path):
    whole = Start(forked(tmp_path / "whole", epochs=2))
    reached = whole.reach_fork()
    late = Start(whole.config)
    assert late.reach_fork(done=1, make=refused) == reached
    assert [epoch for epoch, _ in whole.reported] == [1, 2]
    assert str(late.reported) == str(whole.reported[1:])  # as text, in which NaN equals itself
    continued = Start(forked(tmp_path / "continued", epochs=2))
    continued.reach_fork(done=1)
    assert not (fork.home(continued.config) / checkpoint.FILE).exists()


def test_a_trunk_that_is_being_trained_elsewhere_is_waited_for(tmp_path, at_fork, caplog):
    caplog.set_level("INFO", "src")
    Start(forked(tmp_path)).reach_fork()
    sibling, reached = Start(forked(tmp_path, mc_samples=5)), []
    waiting = threading.Thread(target=lambda: reached.append(sibling.reach_fork(make=refused)))
    with held(fork.home(sibling.config)):
        waiting.start()
        wait_until(lambda: "K=5 B=100 seed=0 waits for its trunk, which another process trains" in caplog.text)
        assert not reached
    waiting.join(600)
    assert reached == [at_fork]


def finished(config: Config) -> tuple[Numbers, list[np.ndarray], Ledger]:
    """What a cell that is run has recorded but for times and memory, its weights, and its ledger."""
    cell.run(config, 0, None)
    runs = Runs(config.tracking)
    (ledger,) = runs.attempts(runs.home(config, fingerprint(config)))
    recorded = {
        (key, event["step"]): str(value)
        for event in ledger.of("metrics")
        for key, value in event["metrics"].items()
        if key not in CLOCKED
    }
    return recorded, keras.saving.load_model(ledger.folder / schema.MODEL_FILE).get_weights(), ledger


def differ(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return any((a != b).any() for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """Cells that share a trunk, and how many epochs `train` was called for by each; one that has trained its own."""
    shared, alone = (tmp_path_factory.mktemp(name) for name in ("shared", "alone"))
    trained, real, found = [], training.train, {}

    def counting(trainer: training.EpochTrainer, config: Config, on_epoch: Callable, first: int = 0) -> None:
        trained.append((config.mc_samples, first, config.epochs))
        real(trainer, config, on_epoch, first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fork, "train", counting)
        patch.setattr(cell, "train", counting)
        for name, config in {
            "K=3": forked(shared, epochs=2, mc_samples=3),
            "K=1": forked(shared, epochs=2),
            "K=2": forked(shared, epochs=2, mc_samples=2, probe=ProbeConfig(epochs=[0, 1, 2])),
            "alone": forked(alone, epochs=2, mc_samples=2, probe=ProbeConfig(epochs=[0, 1, 2])),
            "unforked": forked(alone, epochs=0),
        }.items():
            found[name] = (*finished(config), trained[:])
            trained.clear()
    return found


def test_one_sibling_trains_the_trunk_and_the_others_take_it(family):
    trunk = (1, 0, 2)
    assert {name: trained for name, (*_, trained) in family.items()} == {
        "K=3": [trunk, (3, 2, 3)],
        "K=1": [(1, 2, 3)],
        "K=2": [(2, 2, 3)],
        "alone": [trunk, (2, 2, 3)],
        "unforked": [(1, 0, 3)],
    }


def test_who_takes_a_trunk_has_the_numbers_of_one_that_trained_it(family):
    assert family["K=2"][0] == family["alone"][0]
    assert not differ(family["K=2"][1], family["alone"][1])
    times = [row[schema.TRAIN_SECONDS.key] for row in family["K=2"][2].history([schema.TRAIN_SECONDS.key])]
    assert len(times) == 3


def test_a_fork_into_the_trunks_own_settings_is_an_unforked_run(family):
    (numbers, weights, *_), (whole, whole_weights, *_) = family["K=1"], family["unforked"]
    assert not differ(weights, whole_weights)
    only = {("fork/digest", 2), ("run/multiply_adds", 3)}
    assert {at: value for at, value in numbers.items() if at not in only}.items() <= whole.items()


def test_what_comes_after_the_fork_has_an_effect(family):
    (one, ones, *_), (three, threes, *_) = family["K=1"], family["K=3"]
    assert differ(ones, threes)
    alike = {at for at in one if one[at] == three[at]}
    assert alike >= {at for at in one if at[1] <= 2 and at[0].startswith("train/")} | {("fork/digest", 2)}
    assert {at for at in one if at[0] in ("train/loss", "test/nll", "final/test_nll")} - alike == {
        ("train/loss", 3),
        ("test/nll", 3),
        ("final/test_nll", 3),
    }


def test_scores_and_probes_begin_after_the_fork(family):
    steps: dict[str, set[int]] = {}
    for key, step in family["K=2"][0]:
        steps.setdefault(key.split("/")[0], set()).add(step)
    assert steps == {"train": {1, 2, 3}, "fork": {2}, "test": {3}, "probe": {3}, "final": {3}, "run": {3}}


def test_a_plan_counts_both_stages():
    config = small(epochs=5, mc_samples=25, fork=ForkConfig(epochs=2, mc_samples=3))
    stages = [small(epochs=2, mc_samples=3), small(epochs=3, mc_samples=25)]
    assert cost.training_multiply_adds(config) == sum(map(cost.training_multiply_adds, stages))
    after = cost.multiply_adds(stages[1]) - cost.training_multiply_adds(stages[1])
    assert cost.multiply_adds(config) == cost.training_multiply_adds(config) + after
    wide = small(mc_samples=1, fork=ForkConfig(epochs=1, mc_samples=50, batch_size=200))
    assert cost.memory_bytes(wide) == cost.memory_bytes(small(mc_samples=50, batch_size=200))


def test_a_fork_before_the_last_epoch_is_no_contradiction():
    assert contradictions(Config(epochs=3, fork=ForkConfig(2, 5, 10, 0.1))) == []  # others: tests/vae/test_gradients.py


def test_a_trunks_batch_is_at_most_the_images():
    (found,) = data.refusals(small(fork=ForkConfig(epochs=1, batch_size=251)))
    assert "fork.batch_size must be at most the number of training images, 250. Received: fork.batch_size=251" in found
