"""What recording an epoch takes: `python -m benchmarks.engines.tracking EPOCHS PAUSE`, in a process of its own.

Prints JSON, for every way to record: the seconds for which training waits at each epoch, with a pause between epochs,
and the seconds at the end until the store has everything.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory

import mlflow

from src import schema
from src.config import Config, TrackingConfig, flatten
from src.recording import Runs, open_tracker, record

Log = Callable[[dict[str, float], int], object]
METRICS = {metric.key: 0.5 for metric in schema.EPOCH_METRICS}


def one_by_one(metrics: dict[str, float], step: int) -> None:
    for key, value in metrics.items():
        mlflow.log_metric(key, value, step)


LEDGER = "this project"
MLFLOW: dict[str, Log] = {
    "mlflow.log_metric for each": one_by_one,
    "mlflow.log_metrics": mlflow.log_metrics,
    "mlflow.log_metrics, synchronous=False": partial(mlflow.log_metrics, synchronous=False),
}


@contextmanager
def recording(way: str, folder: str) -> Iterator[Log]:
    """A run in a new SQLite store that is recorded in this way. The end of the block waits for the store."""
    runs = Runs(TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db", runs=f"{folder}/runs"))
    open_tracker(runs.tracking)
    if way == LEDGER:
        home = runs.home(Config(), "0" * 64)
        with record(runs.begin(home / "1", way, None, flatten(Config()), {}), runs) as recorder:
            yield recorder.log
    else:
        mlflow.set_tracking_uri(runs.tracking.uri)
        with mlflow.start_run():
            mlflow.log_params(flatten(Config()))
            yield MLFLOW[way]
            mlflow.flush_async_logging()


def measure(way: str, epochs: int, pause: float) -> dict[str, list[float] | float]:
    """Record METRICS at every epoch. The first is not counted, as it opens connections."""
    waited = []
    with TemporaryDirectory() as folder:
        with recording(way, folder) as log:
            for epoch in range(epochs + 1):
                time.sleep(pause)
                started = time.perf_counter()
                log(METRICS, epoch)
                waited.append(time.perf_counter() - started)
            ending = time.perf_counter()
        return {"epochs": waited[1:], "end": time.perf_counter() - ending}


if __name__ == "__main__":
    print(json.dumps({way: measure(way, int(sys.argv[1]), float(sys.argv[2])) for way in (LEDGER, *MLFLOW)}))
