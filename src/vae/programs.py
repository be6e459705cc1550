"""What is compiled: made once in a process for all runs of one model and data set, whatever their seeds and rates."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from src import data
from src.config import Config
from src.data import Dataset
from src.vae.evaluation import Evaluator
from src.vae.gradients import variables_of
from src.vae.model import VAE
from src.vae.probe import Probe
from src.vae.training import EpochTrainer, Inputs, make_optimizer, make_trainer

Made = TypeVar("Made")

_latest: list["Programs"] = []  # at most one: programs hold their data


def programs_for(config: Config, dataset: Dataset) -> "Programs":
    """The programs of this process, with a run's initial state; new ones where the model or the data are others."""
    if _latest and _latest[0].made_for == made_for(config):
        _latest[0].begin(config, dataset)
    else:
        _latest[:] = [Programs(config, dataset)]
    return _latest[0]


def made_for(config: Config) -> tuple[Any, ...]:
    """What the runs that share programs have in common."""
    return config.data, data.digest(config.data), config.model, config.likelihood, config.optimizer


def untrained(config: Config, dataset: Dataset) -> VAE:
    """The model of a run with its initial weights."""
    vae = VAE.from_settings(config, dataset.train.shape[1])
    if config.model.output_bias == "pixel_means":
        vae.predict_from_the_start(dataset.train.mean(axis=0) / dataset.scale)
    return vae


class Programs:
    """A model and its optimizer, with the training, the scores and the probes of every shape that was asked for.

    Each run begins with its initial weights, images and keys. Only what has a new shape is traced and compiled.
    """

    def __init__(self, config: Config, dataset: Dataset):
        self.made_for, self.vae = made_for(config), untrained(config, dataset)
        self.inputs = Inputs(dataset, config.seed)
        self.optimizer = make_optimizer(config)
        self.optimizer.build(variables_of(self.vae))
        self.unused = [np.array(variable) for variable in self.optimizer.variables]
        self.made: dict[tuple, Any] = {}

    @property
    def variables(self) -> list[Any]:
        """The state of training: the model's variables and the optimizer's."""
        return [*self.vae.variables, *self.optimizer.variables]

    def begin(self, config: Config, dataset: Dataset) -> None:
        """Go on with the initial weights, the images and the random numbers of another run, and an unused optimizer."""
        fresh = untrained(config, dataset)
        self.vae.mc_samples, self.vae.settings = fresh.mc_samples, fresh.settings
        self.inputs.feed(dataset, config.seed)
        for variable, value in zip(self.variables, [*fresh.variables, *self.unused], strict=True):
            variable.assign(value)

    def trainer(self, config: Config, dataset: Dataset) -> EpochTrainer:
        """The compiled epoch of a run, or of its trunk."""
        return self.once(
            ("trainer", config.mc_samples, config.batch_size, *estimator(config)),
            lambda: make_trainer(self.vae, dataset, config, self.optimizer, self.inputs),
        )

    def probe(self, config: Config, dataset: Dataset) -> Probe:
        """The probe of a run."""
        shape = config.mc_samples, config.batch_size, config.probe.images, config.probe.draws
        found = self.once(("probe", *shape, *estimator(config)), lambda: Probe(self.vae, dataset, config))
        found.feed(dataset, config.seed)
        return found

    def evaluator(self, part: str, images: np.ndarray) -> Evaluator:
        """The scores of a part of the data, which is the same for all runs."""
        return self.once(("evaluator", part), lambda: Evaluator(self.vae, images))

    def once(self, key: tuple, make: Callable[[], Made]) -> Made:
        """What was made under this key, now or before."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]


def estimator(config: Config) -> tuple[Any, ...]:
    """The settings of the estimator of the bound and its gradient."""
    return config.objective, config.alpha, config.kl, config.gradient, config.noise
