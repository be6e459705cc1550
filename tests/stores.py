"""MLflow stores with runs whose numbers are known, made through MLflow's own client."""

import functools
import shutil
import warnings
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.image import imsave
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from src import schema
from src.recording.ledger import as_text

EXPERIMENT = schema.EXPERIMENT
EPOCHS = 3
IMAGES = 600
SHARED = {
    "data.name": "mnist",
    "data.pixels": "dynamic",
    "epochs": EPOCHS,
    "model.hidden_dims": [256],
    "learning_rate": 1e-3,
    schema.NLL_KIND: schema.TRUE_NLL,
}
# What a run records as no part of its identity.
MACHINERY = "data.path,model.name,tracking.uri"
GRAYSCALE = {"data.pixels": "grayscale", schema.NLL_KIND: schema.PSEUDO_NLL}
ENDED = {schema.FINISHED: "FINISHED", schema.KILLED: "KILLED"}


def final_nll(k: int, b: int, seed: int) -> float:
    """The final test NLL that `record` gives to a run unless told otherwise."""
    return 100 + 10 / k + b / 100 + (0.0, 0.3, -0.2)[seed % 3] + 0.05 * ((seed * 7 + k) % 5)


def curve(k: int, b: int, seed: int) -> dict[str, list[float]]:
    """The metrics that `record` logs by epoch."""
    nll = final_nll(k, b, seed)
    return {
        schema.TRAIN_LOSS.key: [nll + 20 / epoch for epoch in range(1, EPOCHS + 1)],
        schema.TRAIN_LOSS_VARIANCE.key: [(3 + 1 / k + 0.1 * seed) * 100 / b / epoch for epoch in range(1, EPOCHS + 1)],
        schema.TEST_NLL.key: [nll + 10 / epoch for epoch in range(1, EPOCHS + 1)],
        schema.TRAIN_SECONDS.key: [9.0 + k, 1.0 + 0.1 * k, 1.2 + 0.1 * k],
        schema.TRAIN_IMAGES_PER_SECOND.key: [IMAGES / (9.0 + k), IMAGES / (1.0 + 0.1 * k), IMAGES / (1.2 + 0.1 * k)],
    }


@functools.cache
def template() -> TemporaryDirectory:
    """A folder with a migrated, empty store. Migrating takes seconds, so it is done once and copied."""
    folder = TemporaryDirectory()
    with warnings.catch_warnings():
        # MLflow sets up its tables in a way that SQLAlchemy 2.1 asks to change.
        warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)
        MlflowClient(f"sqlite:///{folder.name}/mlflow.db").search_experiments()
    return folder


def probe(
    k: int, b: int, seed: int, epoch: int, scale: float = 1.0, independent: bool = True, layers: tuple[str, ...] = ()
) -> dict[tuple[str, int], float]:
    """What a run's probe logs at an epoch: of the loss, V_data = 90 / scale and V_mc = 10 (1, 1.2 or 0.8 by seed).

    One observation is one draw where draws are independent, else all K. With layers there is the optimizer's metric
    too, in which V_mc is five times as large.
    """
    spread = (1.0, 1.2, 0.8)[seed % 3]
    values = {"var_data": 90.0 * spread / scale, "var_data_sem": 9.0, "var_mc": 10.0 * spread, "var_mc_sem": 1.0,
              "square_mean": 25.0, "snr": 1.0, "b_eq": float(b), "noise_scale": 2.0}  # fmt: skip
    points = {
        (schema.probe_key(part, name), epoch): value * (1 + place)
        for place, part in enumerate(schema.PROBE_PARTS)
        for name, value in values.items()
    }
    errors = {"mc_ratio_log_sem": 0.1, "snr_log_sem": 0.2}
    scaled = [*schema.PROBE_PARTS[1:], *layers] if layers else []
    for part, in_metric in [(p, False) for p in (*schema.PROBE_PARTS, *layers)] + [(p, True) for p in scaled]:
        own = {"var_data": values["var_data"], "var_mc": (5 if in_metric else 1) * values["var_mc"], **errors}
        points = {(schema.probe_key(part, name, in_metric), epoch): value for name, value in own.items()} | points
    return {
        **points,
        (schema.PROBE_SET_SIZE.key, epoch): 1.0 if independent else float(k),
        (schema.PROBE_INDEPENDENT.key, epoch): float(independent),
        (schema.PROBE_SECONDS.key, epoch): 0.5,
    }


class Store:
    """A new store in a folder, with the experiment in it."""

    def __init__(self, folder: Path, experiment: str = EXPERIMENT):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "mlflow.db"
        shutil.copy(Path(template().name) / "mlflow.db", self.file)
        self.uri = f"sqlite:///{self.file}"
        self.client = MlflowClient(self.uri)
        self.experiment_id = self.client.create_experiment(experiment, (folder / "art facts").as_uri())
        self.clock = 1_000_000

    def parent(self, name: str, params: Mapping[str, Any] = MappingProxyType({})) -> str:
        """The run of a sweep."""
        self.clock += 1000
        tags = {schema.RUN_NAME: name, schema.STATUS: schema.FINISHED}
        run_id = self.client.create_run(self.experiment_id, self.clock, tags, name).info.run_id
        self.client.log_batch(run_id, params=[Param(key, as_text(value)) for key, value in params.items()])
        return run_id

    def record(
        self,
        k: int,
        b: int,
        seed: int,
        status: str | None = schema.FINISHED,
        *,
        mlflow_status: str | None = None,
        parent: str | None = None,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, list[float]] | None = None,
        nll: float | None = None,
        more: Mapping[tuple[str, int], float] | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> str:
        """A run of the grid, by default finished. status None leaves the tag out; "running" leaves the run open.

        metrics are by epoch from 1, more by key and step. A tag of None is left out.
        """
        self.clock += 1000
        own = {schema.FINGERPRINT: f"{k}-{b}-{seed}", schema.STATUS: status, schema.PARENT_RUN: parent}
        own = {**own, schema.MACHINERY: MACHINERY, **(tags or {})}
        own = {key: value for key, value in own.items() if value is not None}
        run_id = self.client.create_run(self.experiment_id, self.clock, own, f"K={k} B={b} seed={seed}").info.run_id
        recorded = {**SHARED, **(params or {})}
        recorded |= {schema.MC_SAMPLES.key: k, schema.BATCH_SIZE.key: b, schema.SEED.key: seed}
        points = [
            Metric(key, value, self.clock + epoch, epoch)
            for key, values in {**curve(k, b, seed), **(metrics or {})}.items()
            for epoch, value in enumerate(values, start=1)
        ]
        points += [Metric(key, value, self.clock + step, step) for (key, step), value in (more or {}).items()]
        if status == schema.FINISHED:
            value = final_nll(k, b, seed) if nll is None else nll
            points += [Metric(schema.FINAL_TEST_NLL.key, value, self.clock + 9, 0)]
            points += [Metric(schema.FINAL_TEST_NEG_ELBO.key, value + 2, self.clock + 9, 0)]
        self.client.log_batch(run_id, points, [Param(key, str(value)) for key, value in recorded.items()])
        if mlflow_status or status:
            self.client.set_terminated(run_id, mlflow_status or ENDED.get(status, "FAILED"), self.clock + 500)
        return run_id

    def log_again(self, run_id: str, key: str, step: int, value: float) -> None:
        """A second row of a step, as a resumed run writes it."""
        self.client.log_batch(run_id, [Metric(key, value, self.clock + 400, step)])

    def reconstructions(self, run_id: str, k: int) -> None:
        """The picture artifact: k grey tiles."""
        with TemporaryDirectory() as folder:
            picture = Path(folder) / schema.RECONSTRUCTIONS_FILE
            imsave(picture, np.linspace(0, 1, 28 * 28 * k).reshape(28, 28 * k), cmap="gray")
            self.client.log_artifact(run_id, str(picture))


def probed(
    folder: Path,
    ks: tuple[int, ...] = (1, 5, 25),
    seeds: int = 3,
    independent: bool = True,
    layers: tuple[str, ...] = (),
) -> Store:
    """Probes before training and after epochs 1 and 3, where V_data has grown ninefold."""
    store = Store(folder)
    for k in ks:
        for seed in range(seeds):
            more: dict[tuple[str, int], float] = {}
            for epoch, scale in ((0, 9.0), (1, 9.0), (3, 1.0)):
                more |= probe(k, 100, seed, epoch, scale, independent, layers)
            store.record(k, 100, seed, more=more)
    return store


class Study(Store):
    """Every kind of run at once: two settings, whole and broken cells.

    Dynamic pixels, the sweep "grid": K = 1, 5, 25, B = 30, 100, seeds 0, 1, 2. At B = 30 one run each is running
    (K = 1), killed (K = 5), diverged and failed (K = 25, which leaves one seed). At B = 100 one was run twice, one
    failed and was run again, and (25, 100, 2) was never started. Grayscale: K = 1, 5, B = 100, two seeds, no sweep.
    """

    def __init__(self, folder: Path, reverse: bool = False):
        super().__init__(folder)
        sweep = self.parent("grid")
        outcome = {
            (1, 30, 2): None,
            (5, 30, 2): schema.KILLED,
            (25, 30, 1): schema.DIVERGED,
            (25, 30, 2): schema.FAILED,
        }
        blown = {schema.TRAIN_LOSS.key: [150.0, float("inf"), float("nan")]}
        self.repeat = self.record(1, 100, 0, nll=500.0, parent=sweep)
        self.failed_first = self.record(5, 100, 1, schema.FAILED, parent=sweep)
        cells = [cell for cell in product((1, 5, 25), (30, 100), (0, 1, 2)) if cell != (25, 100, 2)]
        self.runs = {}
        for cell in reversed(cells) if reverse else cells:
            status = outcome.get(cell, schema.FINISHED)
            metrics = blown if status == schema.DIVERGED else None
            self.runs[cell] = self.record(*cell, status, parent=sweep, metrics=metrics)
        self.grayscale = {(k, 100, s): self.record(k, 100, s, params=GRAYSCALE) for k in (1, 5) for s in (0, 1)}
        self.log_again(self.runs[5, 100, 0], schema.TRAIN_LOSS.key, 2, 77.0)
        self.deleted = self.record(50, 100, 0, parent=sweep)
        self.client.delete_run(self.deleted)
        for k in (1, 5):
            self.reconstructions(self.runs[k, 30, 0], k)


STUDY_FOLDER = TemporaryDirectory()


@functools.cache
def study() -> Study:
    """The study that read-only tests share."""
    return Study(Path(STUDY_FOLDER.name))
