"""The engines of `benchmarks.engine` run the same cells and keep what these report. No time is asserted."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks import engine, processes
from benchmarks.engines import BASELINE, ENGINES, OWN, tracking
from benchmarks.engines.cells import Cell, grid
from src import schema

MUSHIN = "mushin"
# The pool's way is the basic launcher's, and has tests of its own.
TESTED = [BASELINE, MUSHIN, "Ray Tune", "this project, basic"]


def run(name: str, folder: Path, *arguments: str) -> None:
    if reason := ENGINES[name].lacking():
        pytest.skip(reason)
    ENGINES[name].seconds(f"folder={folder}", "mc_samples=1", "batch_size=100", "seed=0,1", "epochs=2", *arguments)


def losses(name: str, folder: Path) -> list[list[float]]:
    """The training losses of every cell that an engine has kept, in the order of the seeds."""
    if name == MUSHIN:
        kept = [json.loads((folder / "sweep" / cell / "mushin_metrics.json").read_text()) for cell in "01"]
        return [cell.get(schema.TRAIN_LOSS.key, []) for cell in kept]
    store = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    runs = store.search_runs([each.experiment_id for each in store.search_experiments()], order_by=["params.seed"])
    cells = [each.info.run_id for each in runs if "seed" in each.data.params]  # not the study that they are of
    histories = [store.get_metric_history(cell, schema.TRAIN_LOSS.key) for cell in cells]
    return [[point.value for point in sorted(history, key=lambda point: point.step)] for history in histories]


@pytest.mark.parametrize("name", TESTED)
def test_every_engine_runs_a_grid_of_empty_cells(name, tmp_path):
    run(name, tmp_path, "work=empty", "images=60000")
    assert losses(name, tmp_path) == [[], []]


@pytest.mark.slow
def test_every_engine_trains_the_same_cells(tmp_path):
    found = {}
    for number, name in enumerate(TESTED):
        if not ENGINES[name].lacking():
            (folder := tmp_path / str(number)).mkdir()
            run(name, folder, "work=trained", "images=200")
            found[name] = sorted(losses(name, folder))
    first, second = found[BASELINE]
    assert len(first) == len(second) == 2
    assert first != second
    for name, values in found.items():
        # Another number of threads adds up in another order.
        assert values == [pytest.approx(first, rel=1e-5), pytest.approx(second, rel=1e-5)], name


def test_a_cell_reports_the_metrics_of_this_projects_epochs():
    reported = {}
    Cell("", "trained", mc_samples=2, batch_size=50, seed=0, epochs=1, images=100).run(reported.__setitem__)
    assert reported.keys() == {1}
    expected = {metric.key for metric in schema.EPOCH_METRICS} - {schema.TRAIN_LOSS_VARIANCE_MC.key}
    assert reported[1].keys() == expected


def test_a_grid_is_read_from_its_arguments():
    assert grid(["folder=/a=b", "seed=0,1", "epochs=3"]) == {"folder": ["/a=b"], "seed": [0, 1], "epochs": [3]}


@pytest.mark.parametrize("way", [tracking.LEDGER, *tracking.MLFLOW])
def test_every_way_to_record_an_epoch_reaches_the_store(way, tmp_path):
    with tracking.recording(way, str(tmp_path)) as log:
        log(tracking.METRICS, 1)
        log(tracking.METRICS, 2)
    assert all(len(points) == 2 for points in losses(BASELINE, tmp_path))


def test_engines_take_turns_and_ratios_are_of_a_round(monkeypatch, capsys):
    monkeypatch.setattr(processes, "lacking", lambda package, environment: "no Ray" if package == "ray" else None)
    # The second round is slow for both.
    seconds = iter([10.0, 5.0, 80.0, 200.0])
    order = []

    def measure(each: engine.Engine) -> dict[str, float]:
        order.append(each)
        return {"quick": next(seconds)}

    pool = "this project, pool"
    text, found = engine.in_turns(measure, [BASELINE, "Ray Tune", pool], rounds=2)
    assert order == [ENGINES[name] for name in (BASELINE, pool, pool, BASELINE)]
    assert found[pool] == {0: {"quick": 5.0}, 1: {"quick": 80.0}}
    cells = [cell.strip() for cell in text.splitlines()[-1].split("|")[1:-1]]
    assert cells == ["quick", pool, "42.5 [5.0..80.0]", "2.25 [2.00..2.50]"]
    assert "left out: Ray Tune: no Ray." in capsys.readouterr().err


def test_empty_cells_are_run_by_the_engines_alone(monkeypatch):
    commands = []
    monkeypatch.setattr(processes, "lacking", lambda package, environment: None)
    monkeypatch.setattr(engine.Engine, "seconds", lambda self, *arguments: commands.append(self) or 1.0)
    _, found = engine.empty(engine.parse(["--rounds", "1"]))
    assert len(commands) == 2 * len(found)
    assert found.keys() == {name for name, each in ENGINES.items() if OWN not in each.options}


def test_the_other_checkout_has_a_cache_of_its_own(monkeypatch, tmp_path):
    caches = []
    monkeypatch.setattr(engine, "study", lambda checkout, cache, images: float(caches.append((checkout, cache)) or 2))
    _, found = engine.against(engine.parse(["--rounds", "2", "--against", str(tmp_path)]))
    assert [checkout for checkout, _ in caches] == [tmp_path, engine.ROOT, engine.ROOT] * 2
    assert len({cache for _, cache in caches}) == 4
    assert caches[1] == caches[2] != caches[4]
    assert found.keys() == {engine.OTHER, engine.COLD, engine.WARM}
