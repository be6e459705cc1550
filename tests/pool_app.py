"""A program whose cells do what cells should not: for tests of the launcher, without TensorFlow."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf

from src.config.settings import ConfigError
from src.process import on_signal
from src.sweep.pool import PoolLauncher, end_workers

# HYDRA_FULL_ERROR: set by `main`, as a study sets its own variable.
SEEN = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "TQDM_DISABLE", "HYDRA_FULL_ERROR")
KEPT: list[bytes] = []


class Peculiar(Exception):
    """Can be pickled, but not restored."""

    def __init__(self, one: str, two: str):
        super().__init__(one + two)


@dataclass
class App:
    defaults: list[Any] = field(
        default_factory=lambda: [
            {"override hydra/launcher": "pool"},
            {"override hydra/job_logging": "none"},
            {"override hydra/hydra_logging": "none"},
            "_self_",
        ]
    )
    number: int = 0
    do: str = "nothing"


def act(what: str) -> None:
    """Do what the name says. sleep_60_2: sleep for a minute; closing the run meanwhile takes two seconds."""
    match what.split("_"):
        case ["raise"]:
            raise ValueError("no good")
        case ["peculiar"]:
            raise Peculiar("no ", "good")
        case ["exit", code]:
            sys.exit(int(code))
        case ["leave", code]:
            os._exit(int(code))
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["sleep", seconds, *_]:
            time.sleep(float(seconds))
        case ["grow"]:
            KEPT.append(b"1" * 300 * 2**20)


@contextmanager
def open_run(folder: Path, what: str) -> Iterator[None]:
    """Something that is to be closed when its process is ended, as a run in a store is."""

    def close(reason: str) -> None:
        if len(parts := what.split("_")) == 3:
            time.sleep(float(parts[2]))
        (folder / "closed").write_text(reason)

    sys.modules["src.recording.recorder"] = SimpleNamespace(end_open_runs=close)
    try:
        yield
    finally:
        del sys.modules["src.recording.recorder"]


@hydra.main(version_base="1.3", config_path=None, config_name="app")
def cell(cfg: DictConfig) -> None:
    """Note who runs this cell, when and with which environment; then do what it is asked to."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    noted = {"pid": os.getpid(), "time": time.time(), **{name: os.environ.get(name) for name in SEEN}}
    (folder / "cell.json").write_text(json.dumps(noted))
    with open_run(folder, cfg.do):
        act(cfg.do)


def noting(launch: Callable[..., list[JobReturn]]) -> Callable[..., list[JobReturn]]:
    """A launch that writes down its results, which Hydra keeps to itself, and hands on none that could be raised."""

    def noted(self: PoolLauncher, cells: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        results = [
            [result.overrides[0], result.status.name, type(result._return_value).__name__, str(result._return_value)]
            for result in launch(self, cells, initial_job_idx)
        ]
        Path(self.config.hydra.sweep.dir, "results.json").write_text(json.dumps(results))
        return []

    return noted


def end(received: signal.Signals) -> None:
    end_workers()
    os._exit(128 + received)


def main() -> None:
    # Kept with the configuration, as in the project: workers have other numbers.
    OmegaConf.register_new_resolver("pid", os.getpid, use_cache=True)
    store = ConfigStore.instance()
    store.store(name="app", node=App)
    target = "hydra_plugins.vae_mc_samples.PoolLauncher"
    arguments = {"workers": None, "threads": 1, "time_limit": None, "recycle_gb": 2.0}
    store.store(group="hydra/launcher", name="pool", node={"_target_": target, **arguments})
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and leaving
    PoolLauncher.launch = noting(PoolLauncher.launch)
    try:
        with on_signal(end):
            cell()
    except ConfigError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
