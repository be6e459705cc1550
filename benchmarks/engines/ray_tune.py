"""A grid with Ray Tune: a trial per core at a time, MLflow's callback, and a grid that has ended is only restored."""

import sys
from typing import Any

import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback

from benchmarks.engines.cells import Cell, grid
from benchmarks.machine import cores

NAME = "engines"
ONE_THREAD = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")


def trial(values: dict[str, Any]) -> None:
    Cell(**values).run(lambda epoch, metrics: tune.report(metrics))


def tuner(values: dict[str, list[str | int]]) -> tune.Tuner:
    folder, trainable = values["folder"][0], tune.with_resources(trial, {"cpu": 1})
    if tune.Tuner.can_restore(f"{folder}/{NAME}"):
        return tune.Tuner.restore(f"{folder}/{NAME}", trainable)
    space = {key: tune.grid_search(each) if len(each) > 1 else each[0] for key, each in values.items()}
    callback = MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name=NAME)
    settings = tune.RunConfig(name=NAME, storage_path=str(folder), callbacks=[callback], verbose=0)
    return tune.Tuner(trainable, param_space=space, run_config=settings)


if __name__ == "__main__":
    ray.init(num_cpus=cores(), include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": ONE_THREAD})
    results = tuner(grid(sys.argv[1:])).fit()
    sys.exit(f"trials failed: {results.errors}" if results.num_errors else 0)
