"""A cell of a grid, and the function that every engine runs it by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from src.config import Config, DataConfig

Report = Callable[[int, dict[str, float]], None]


@dataclass
class Cell:
    """A cell as an engine has it from its command line.

    Attributes:
        folder: where the engine keeps what it records.
        work: trained; or empty, which leaves the engine alone.
        images: training images.
    """

    folder: str
    work: str
    mc_samples: int
    batch_size: int
    seed: int
    epochs: int
    images: int

    def run(self, report: Report) -> None:
        """Do the work, and report the metrics of every epoch, counted from 1."""
        sizes = {"mc_samples": self.mc_samples, "batch_size": self.batch_size, "epochs": self.epochs}
        WORK[self.work](Config(**sizes, seed=self.seed, data=DataConfig(train_size=self.images)), report)


def trained(config: Config, report: Report) -> None:
    """Train, and score the test set after every epoch: the 13 metrics of this project's epochs, without probes."""
    from src import data
    from src.run.metrics import test_metrics, training_metrics
    from src.vae import VAE, EpochRecord, Evaluator, make_trainer, train

    dataset = data.load(config.data, config.seed)
    vae = VAE.from_settings(config, dataset.train.shape[1])
    evaluator = Evaluator(vae, dataset.test)

    def on_epoch(record: EpochRecord) -> None:
        scores = evaluator.score(config.evaluation.iw_samples)
        report(record.epoch, training_metrics(record) | test_metrics(scores))

    train(make_trainer(vae, dataset, config), config, on_epoch)


def empty(config: Config, report: Report) -> None:
    """Nothing, of which nothing is reported."""


WORK = {"trained": trained, "empty": empty}


def grid(arguments: Sequence[str]) -> dict[str, list[str | int]]:
    """The values of every key, from arguments such as mc_samples=1,5."""
    pairs = (argument.split("=", 1) for argument in arguments)
    return {key: [int(v) if v.isdecimal() else v for v in values.split(",")] for key, values in pairs}
