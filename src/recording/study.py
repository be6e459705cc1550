"""The data of a study that its cells use: its run, their number and their expected seconds."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from src.config import Config, flatten, title

# Every launcher passes the environment on to its workers.
VARIABLE = "VAE_MC_SAMPLES_STUDY"


class RunFailed(RuntimeError):
    """A run that ended without finishing. The reason has been logged; the traceback is in its folder."""


class UnfinishedError(RuntimeError):
    """A study some of whose cells did not finish. The reasons have been logged."""


@dataclass(frozen=True)
class Study:
    """A study under way.

    Attributes:
        key: of its ledger; its run is the parent of its cells' runs.
        name: its folder's name.
        costs: predicted seconds of every cell, in the order of their numbers.
        started: seconds since the Unix epoch.
        varying: keys of the settings in which its cells differ, beside K, B and the seed.
    """

    key: str
    name: str
    costs: list[float]
    started: float
    varying: list[str]

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Pass the study to its cells, in this process and in those it starts."""
        os.environ[VARIABLE] = json.dumps(asdict(self))
        try:
            yield
        finally:
            del os.environ[VARIABLE]

    @classmethod
    def current(cls) -> "Study | None":
        """The study that this process works for; None for a single run."""
        text = os.environ.get(VARIABLE)
        return cls(**json.loads(text)) if text else None

    def seconds_left(self, cell: int, share: float) -> float:
        """Predicted seconds until the last cell ends, with `share` of cell number `cell` done."""
        done = sum(self.costs[:cell]) + share * self.costs[cell]
        return (time.time() - self.started) * (sum(self.costs) - done) / done


def titled(config: Config, study: Study | None) -> str:
    """The name of a run, for people; that of a study's cell tells it from the study's others."""
    values = flatten(config)
    return " ".join([title(config), *(f"{key}={values[key]}" for key in (study.varying if study else ()))])
