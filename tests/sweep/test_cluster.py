"""Grids on real clusters of one machine; in each, the process of a cell is ended in the middle."""

import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from src import ROOT, schema
from tests import cluster
from tests.commands import CLOCKED, Workplace

NO_STORE = cluster.missing(["psycopg"], ["initdb", "postgres"])
NO_RAY = NO_STORE or cluster.missing(["hydra_plugins.hydra_ray_launcher"], [])
SLURM = ["munged", "slurmctld", "slurmd", "sbatch"]
NO_SLURM = NO_STORE or cluster.missing(["hydra_plugins.hydra_submitit_launcher"], SLURM)

# Long enough to be hit in the middle.
GRID = ("mc_samples=1,2", "data.train_size=500", "epochs=150", "checkpoint.every=10", "probe.epochs=[0]")
MIDDLE = 30


class Runs(NamedTuple):
    """The runs of an experiment, through MLflow's client."""

    store: MlflowClient
    experiment: str

    def matching(self, condition: str) -> list[Run]:
        found = self.store.get_experiment_by_name(self.experiment)
        return self.store.search_runs([found.experiment_id], condition) if found else []

    def parents(self) -> list[Run]:
        return self.matching(f"tags.{schema.FINGERPRINT} IS NULL")

    def cells(self) -> list[Run]:
        """In the order of their start."""
        return sorted(self.matching(f"tags.{schema.FINGERPRINT} LIKE '%'"), key=lambda run: run.info.start_time)

    def in_the_middle(self) -> Run | None:
        """A cell that has trained for some epochs and has many to go."""
        for run in self.cells():
            if run.info.status == "RUNNING" and schema.TRAIN_LOSS.key in run.data.metrics:
                last = self.store.get_metric_history(run.info.run_id, schema.TRAIN_LOSS.key)[-1]
                if last.step >= MIDDLE:
                    return run
        return None

    def histories(self) -> dict[str, dict[tuple[str, int], list[str]]]:
        """By mc_samples and (key, step), every bit of every value that the store has, what a clock has made apart."""
        found = {}
        for run in self.cells():
            history = found[run.data.params["mc_samples"]] = {}
            for key in run.data.metrics.keys() - CLOCKED:
                for point in self.store.get_metric_history(run.info.run_id, key):
                    history.setdefault((key, point.step), []).append(point.value.hex())
        return found


@pytest.fixture(scope="module")
def environment():
    """What every process of these tests finds: one thread, so that sums are made in one order, and Ray's password."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            patch.setenv(name, "1")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        yield patch


@pytest.fixture(scope="module")
def alone(tmp_path_factory, environment):
    """The histories of the grid's cells, made on this machine without a cluster and undisturbed."""
    place = Workplace(tmp_path_factory.mktemp("alone"))
    done = place.train("-m", *GRID, "hydra/launcher=pool", timeout=600)
    assert done.returncode == 0, done.stderr
    return Runs(MlflowClient(f"sqlite:///{place.database}"), "vae-mc-samples").histories()


@pytest.fixture(scope="module")
def server(tmp_path_factory, environment):
    folder = tmp_path_factory.mktemp("server")
    with cluster.postgresql() as database, cluster.mlflow_server(database, folder) as uri:
        yield uri


@pytest.fixture(scope="module")
def ray(environment):
    with cluster.ray_nodes(2) as address:
        yield f"hydra.launcher.ray.init.address={address}"


def survives(folder: Path, server: str, blow: signal.Signals, *overrides: str) -> Runs:
    """Run the grid, and send a signal to the process of the first cell in the middle; the grid is to end complete."""
    runs = Runs(MlflowClient(server), folder.name)
    where = (f"tracking.uri={server}", f"tracking.experiment={folder.name}")
    process = Workplace(folder).start("-m", *GRID, *where, *overrides)
    try:
        while (hit := runs.in_the_middle()) is None:
            assert process.poll() is None, process.communicate()
            time.sleep(0.2)
        os.kill(int(hit.data.tags[schema.PID]), blow)
        output = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 0, output
    (parent,), cells = runs.parents(), runs.cells()
    assert [run.info.status for run in (parent, *cells)] == ["FINISHED"] * 3
    assert [run.data.tags[schema.PARENT_RUN] for run in cells] == [parent.info.run_id] * 2
    # Continued, by another process.
    assert runs.store.get_run(hit.info.run_id).data.tags[schema.PID] != hit.data.tags[schema.PID]
    for run in cells:
        artifacts = {file.path for file in runs.store.list_artifacts(run.info.run_id)}
        assert {schema.CONFIG_FILE, schema.HISTORY_FILE, schema.LATENT_FILE} <= artifacts
    return runs


@pytest.mark.parametrize("launcher", ["ray", "submitit_slurm"])
def test_the_presets_can_be_read_with_and_without_their_plugins(launcher):
    command = [sys.executable, "-m", "src.train", "--cfg", "hydra", "--package", "hydra.launcher"]
    shown = subprocess.run([*command, f"hydra/launcher={launcher}"], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher" in shown.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(NO_RAY), reason=NO_RAY)
@pytest.mark.parametrize("retries_of_ray", [3, 0])
def test_a_grid_on_two_ray_nodes_survives_the_kill_of_a_worker(tmp_path, server, ray, alone, retries_of_ray):
    """Without retries of Ray's own, its launcher raises, and the sweeper has to launch again."""
    retries = f"hydra.launcher.ray.remote.max_retries={retries_of_ray}"
    runs = survives(tmp_path, server, signal.SIGKILL, "hydra/launcher=ray", ray, retries)
    assert runs.histories() == alone
    # A node has one core, so two cells at a time are two nodes.
    first, second = runs.cells()
    assert second.info.start_time < first.info.end_time


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(NO_SLURM), reason=NO_SLURM)
def test_a_grid_on_slurm_survives_what_ends_a_job_early(tmp_path, server, alone, environment):
    """SIGUSR2 is what the preset has Slurm send a job whose time is nearly up, or whose machine another needs."""
    size = ("hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2")
    with cluster.slurm() as configuration:
        environment.setenv("SLURM_CONF", str(configuration))
        runs = survives(tmp_path, server, signal.SIGUSR2, "hydra/launcher=submitit_slurm", *size)
    assert runs.histories() == alone
