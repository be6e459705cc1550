"""A grid as it is often written: Hydra's multirun with its basic launcher, and MLflow called in the cell."""

from dataclasses import fields

import hydra
import mlflow
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from benchmarks.engines.cells import Cell

SWEEP = {"mode": "MULTIRUN", "sweep": {"dir": "${folder}/multirun"}}


@hydra.main(version_base="1.3", config_path=None, config_name="config")
def cell(cfg: DictConfig) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{cfg.folder}/mlflow.db")
    mlflow.set_experiment("engines")
    with mlflow.start_run():
        mlflow.log_params(dict(cfg))
        Cell(**cfg).run(lambda epoch, metrics: mlflow.log_metrics(metrics, step=epoch))


if __name__ == "__main__":
    ConfigStore.instance().store("config", {**{field.name: "???" for field in fields(Cell)}, "hydra": SWEEP})
    cell()
