"""Entry point: `python -m src.train [-m] [key=value ...]`. See --help."""

import logging
import os
import signal
import sys
import warnings

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig

from src.config import Config, ConfigError
from src.process import load
from src.recording import RunFailed, Runs, UnfinishedError
from src.sweep import register
from src.sweep.compose import typed
from src.sweep.usage import USAGE_ERROR, explain

FAILURE = 1


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def cell(cfg: DictConfig) -> None:
    """One cell of a grid, or a single run. TensorFlow is imported here, after everything has been checked."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Compiled epochs do not use oneDNN, and switching it on is announced on every start.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    speak()  # also in the worker of another launcher
    config = typed(cfg)
    number = None
    if HydraConfig.get().mode == hydra.types.RunMode.MULTIRUN:
        number = HydraConfig.get().job.num
    else:
        open_store(config)
    load("src.run.cell")
    from src.run import run

    run(config, number)


def speak() -> None:
    """Let the program say what it does, line by line, on the standard error output."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("src").setLevel(logging.INFO)


def open_store(config: Config) -> None:
    """Make sure of the store before a single run trains, as the sweeper does it for a grid."""
    load("src.recording.mlflow_store")
    from src.recording import Store, clean_up

    store = Store(config.tracking)
    store.verify()
    clean_up(Runs(config.tracking), store)


def close_and_leave(received: signal.Signals) -> None:
    """End the workers, then the open runs as killed, then this process, with the shell's code for that signal."""
    try:
        if pool := sys.modules.get("src.sweep.pool"):
            pool.end_workers()
        if recorder := sys.modules.get("src.recording.recorder"):
            recorder.end_open_runs(f"ended by {received.name}")
        print(f"\nEnded by {received.name}; open runs are closed as KILLED.", file=sys.stderr, flush=True)
    finally:  # also where nobody reads what is printed any more
        os._exit(128 + received)


def main() -> None:
    """Run Hydra's program; refusals become one message and exit code 2."""
    from src.process import on_signal

    speak()
    # Our presets for Ray and Slurm go by the names of their plugins' own.
    warnings.filterwarnings("ignore", r"\n'hydra/launcher/\w+' is validated against", UserWarning)
    wanted_trace = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and leaving
    try:
        register()
        with on_signal(close_and_leave):
            cell()
    except (ConfigError, HydraException) as error:
        if wanted_trace:
            raise
        print(explain(error, sys.argv[1:]), file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except (RunFailed, UnfinishedError):
        if wanted_trace:
            raise
        sys.exit(FAILURE)


if __name__ == "__main__":
    main()
