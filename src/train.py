"""Entry point: `python -m src.train [-m] [key=value ...]`. See --help."""

import os
import sys
import warnings
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig

from src.config import ConfigError
from src.process import closed_on_exit, configure_logging, leave, on_signal
from src.recording import RunFailed, Runs, Study, UnfinishedError, open_and_catch_up
from src.run import run
from src.sweep import check_single, help_text, refuse, register, typed

FAILURE = 1


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def cell(cfg: DictConfig) -> None:
    """One cell of a grid, or a single run. `run` imports TensorFlow, after everything has been checked."""
    configure_logging()  # also in the worker of another launcher
    number, study = 0, None
    try:
        config = typed(cfg)
        if HydraConfig.get().mode == hydra.types.RunMode.MULTIRUN:
            number, study = HydraConfig.get().job.num, Study.load(Path(HydraConfig.get().sweep.dir))
        else:
            check_single(config)
            open_and_catch_up(Runs(config.tracking))
    except ConfigError as error:
        refuse(error, sys.argv[1:])  # here, as Hydra puts a line of its own before an exception
    run(config, number, study)


def is_override(argument: str) -> bool:
    return not argument.startswith("-") and ("=" in argument or argument.startswith("~"))


def main() -> None:
    """Run Hydra's program; refusals become one message and exit code 2."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        # Not through Hydra, which takes a second to list all groups of settings, even if none is shown.
        print(help_text())
        return
    configure_logging()
    # Our presets for Ray and Slurm have the names of their plugins' own.
    warnings.filterwarnings("ignore", r"\n'hydra/launcher/\w+' is validated against", UserWarning)
    wanted_trace = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and leaving
    # Hydra's parser refuses overrides after an option that follows overrides.
    sys.argv[1:] = sorted(sys.argv[1:], key=is_override)
    try:
        register(run, sys.argv[1:])
        with (
            closed_on_exit(lambda reason: print(f"\nThe program was {reason}; open runs are KILLED.", file=sys.stderr)),
            on_signal(lambda received: leave(f"ended by {received.name}", 128 + received)),
        ):
            cell()
    except (ConfigError, HydraException) as error:
        if wanted_trace:
            raise
        refuse(error, sys.argv[1:])
    except (RunFailed, UnfinishedError):
        if wanted_trace:
            raise
        sys.exit(FAILURE)


if __name__ == "__main__":
    main()
