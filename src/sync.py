"""`python -m src.sync [key=value ...]`: send a store what it lacks of the ledgers, or make it anew from them."""

import logging
import sys

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src import schema
from src.config import ConfigError, TrackingConfig
from src.process import configure_logging
from src.recording import Runs, open_tracker, settle

log = logging.getLogger("src.sync")

HELP = """\
Send the store what it lacks of the runs in the ledgers; a store that is lost is made anew.

  python -m src.sync                                       the ledgers of runs/ to the usual store
  python -m src.sync uri=sqlite:///new.db                  ... to another store
  python -m src.sync runs=FOLDER experiment=NAME           ... from another folder, into another experiment
"""


def options(arguments: list[str]) -> TrackingConfig:
    """The arguments as settings. Raises ConfigError for anything else than uri=, runs= and experiment=."""
    try:
        given = OmegaConf.from_dotlist([item.removeprefix("tracking.") for item in arguments])
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TrackingConfig), given))  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise ConfigError(
            f"src.sync does not take these arguments. Expected uri=, runs= or experiment=. "
            f"Received: {' '.join(arguments)}. See python -m src.sync --help."
        ) from error


def sync(tracking: TrackingConfig) -> bool:
    """Send every ledger; returns whether the store has all that can be sent."""
    runs = Runs(tracking)
    ledgers = sorted(runs.newest_first(), key=lambda ledger: ledger.events[0]["time"])  # a study before its cells
    if not ledgers:
        raise ConfigError(
            f"There are no ledgers to send. Expected runs in {runs.root}. Received an empty or missing folder. "
            "Name the folder with runs=FOLDER, or train first: python -m src.train"
        )
    tracker = open_tracker(tracking)
    taken = [settle(ledger, runs, tracker) for ledger in ledgers]
    working = sum(ledger.status == schema.RUNNING and ledger.owner.alive() for ledger in ledgers)
    log.info("%s has %d of %d runs; %d are being worked on", tracker.uri, sum(taken), len(ledgers), working)
    return sum(taken) + working == len(ledgers)


def main() -> None:
    configure_logging()
    if {"-h", "--help"} & set(sys.argv):
        print(HELP, end="")
        return
    try:
        sys.exit(0 if sync(options(sys.argv[1:])) else 1)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
