"""The data of a study that its cells use: its run, their number and their expected seconds."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from src.config import Config, flatten, title

# In the folder of a study, which the workers of every launcher can read.
STUDY_FILE = "study.json"


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

    def save(self, folder: Path) -> None:
        """Write the study into its folder, for its cells. A reader finds this text or the one before it, whole."""
        unfinished = folder / f"{STUDY_FILE}.tmp"
        unfinished.write_text(json.dumps(asdict(self)))
        unfinished.replace(folder / STUDY_FILE)

    @classmethod
    def load(cls, folder: Path) -> "Study":
        """The study of a folder."""
        return cls(**json.loads((folder / STUDY_FILE).read_text()))

    def seconds_left(self, cell: int, share: float) -> float:
        """Predicted seconds until the last cell ends, with `share` of cell number `cell` done."""
        done = sum(self.costs[:cell]) + share * self.costs[cell]
        return (time.time() - self.started) * (sum(self.costs) - done) / done


def titled(config: Config, study: Study | None) -> str:
    """The name of a run, for people; that of a study's cell tells it from the study's others."""
    values = flatten(config)
    return " ".join([title(config), *(f"{key}={values[key]}" for key in (study.varying if study else ()))])
