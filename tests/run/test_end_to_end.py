"""What a user types, and what then stands in the store and in the run's folder."""

import re
import shutil
import signal

import pandas as pd
import pytest
from omegaconf import OmegaConf

from src import config, schema
from src.config import Config
from tests.commands import BRIEF, ONE_THREAD, Workplace, in_process, wait_until, with_faults

REFUSALS = [
    (["mc_sample=5"], ["mc_sample is not a key", "Received: mc_sample=5", "Did you mean mc_samples?"]),
    (["mc_samples=0"], ["mc_samples must be a positive integer", "Received: mc_samples=0"]),
    (["mc_samples=2.5"], ["mc_samples must be a positive integer", "Received: mc_samples=2.5"]),
    (["batch_size=-1"], ["batch_size must be a positive integer", "Received: batch_size=-1"]),
    (["batch_size=251"], ["at most the number of training images, 250", "Received: batch_size=251"]),
    (["optimizer=rmsprp"], ["optimizer must be one of rmsprop, adam, sgd", "Received: optimizer=rmsprp"]),
    (["data.validation_size=151"], ["at most the number of training images beyond one batch, 150"]),
    (["evaluation.final_images=121"], ["at most the number of test images, 120"]),
    (["data=mnits"], ["Received: data=mnits", "idx, linear_gaussian, mnist"]),
    (["data.path=nowhere"], ["train-images-idx3-ubyte", "nowhere", "set data.path to a folder"]),
    (["+more=1"], ["more is not a key"]),
    (["seed"], ["seed is not an override", "Expected key=value"]),
    (["tracking.uri=sqlite:////proc/no.db"], ["The store cannot be opened", "tracking.uri=sqlite:////proc/no.db"]),
    (["tracking.runs=/proc/no"], ["tracking.runs must be a folder that can be written", "tracking.runs=/proc/no"]),
]


@pytest.mark.parametrize(("overrides", "parts"), REFUSALS)
@pytest.mark.parametrize("multirun", [False, True])
def test_a_wrong_command_is_refused_before_anything_exists(tmp_path, overrides, parts, multirun):
    done = Workplace(tmp_path).plan(*(["-m", "epochs=1,2"] if multirun else []), *overrides)
    assert done.returncode == 2
    for part in parts:
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("ledger.jsonl"))


def test_every_wrong_cell_of_a_grid_is_named_at_once(tmp_path):
    done = Workplace(tmp_path).plan("-m", "mc_samples=0,1,abc", "batch_size=100,251")
    assert done.returncode == 2
    for part in ("nothing was started", "mc_samples=0", "mc_samples=abc", "batch_size=251", "of 6 cells"):
        assert part in done.stderr


@pytest.mark.parametrize(
    "options", [["epochs=1", "-m", "seed=0,1"], ["-m", "epochs=1", "seed=0,1"], ["seed=0,1", "-m"]]
)
def test_options_may_stand_anywhere_among_the_overrides(tmp_path, options):
    done = in_process("src.train", *options, *Workplace(tmp_path).command("study.plan_only=true"))
    assert done.returncode == 0, done.stderr
    assert "2 cells: 2 to run" in done.stderr


def test_help_names_every_key_with_its_default():
    done = in_process("src.train", "--help")
    assert done.returncode == 0
    for entry in config.entries(Config()):
        assert entry.key + "=" in done.stdout
        assert entry.meaning in done.stdout


POOL = ("hydra/launcher=pool", "hydra.launcher.workers=2")
GRID = ("-m", "mc_samples=1,3,1", *POOL)


def cells(place):
    """The ids of the runs of the cells by mc_samples, oldest first."""
    found = {}
    for run_id, _ in place.runs():
        if mc_samples := place.pairs("params", run_id).get("mc_samples"):  # not the run of a grid
            found.setdefault(int(mc_samples), []).append(run_id)
    return found


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A grid of two cells, one value given twice, run by two workers with a thread each."""
    place = Workplace(tmp_path_factory.mktemp("grid"))
    done = place.train(*GRID)
    assert done.returncode == 0, done.stderr
    return place, done.stderr


@pytest.fixture(scope="module")
def run_ids(grid):
    """The run of each cell, by mc_samples."""
    return {mc_samples: found[0] for mc_samples, found in cells(grid[0]).items()}


def test_a_grid_is_a_parent_run_with_its_cells_as_children(grid, run_ids):
    place, _ = grid
    assert [status for _, status in place.runs()] == ["FINISHED"] * 3
    parent = place.runs()[0][0]
    params = place.pairs("params", parent)
    assert {key.partition(".")[0] for key in params} == {"design"}
    assert (params["design.margin"], params["design.n_max"], params["design.comparisons"]) == ("0.25", "None", "1")
    assert place.pairs("tags", parent)[schema.STATUS] == schema.FINISHED
    assert run_ids.keys() == {1, 3}
    for mc_samples, run_id in run_ids.items():
        tags = place.pairs("tags", run_id)
        assert tags[schema.PARENT_RUN] == parent
        assert tags[schema.STATUS] == schema.FINISHED
        assert tags[schema.RUN_NAME] == f"K={mc_samples} B=100 seed=0"


def test_every_cell_has_a_worker_and_a_line_at_its_end(grid, run_ids):
    place, said = grid
    for number, (mc_samples, run_id) in enumerate(sorted(run_ids.items(), reverse=True), start=1):  # the longest first
        assert re.search(rf"cell {number}/2  K={mc_samples} B=100 seed=0  finished in .*test BCE pseudo-NLL", said)
        assert f"finished  mc_samples={mc_samples}  run {run_id}" in said
        assert place.pairs("tags", run_id)["threads.intra_op"] == "1"
    assert len({place.pairs("tags", run_id)["process.pid"] for run_id in run_ids.values()}) == 2
    assert "2 of 2 cells finished in" in said
    assert "B=100: undecided against K=3" in said
    assert "epoch/s" not in said  # a bar is for a terminal


def test_params_are_the_flattened_settings_and_what_the_nll_is(grid, run_ids):
    params = grid[0].pairs("params", run_ids[3])
    assert set(params) >= {*config.flatten(Config()), schema.NLL_KIND}
    assert params[schema.NLL_KIND] == "BCE pseudo-NLL"
    assert params["data.train_size"] == "250"


def test_metrics_are_exactly_the_designs(grid, run_ids):
    history = grid[0].history(run_ids[3])
    per_epoch = {(metric.key, epoch) for metric in schema.EPOCH_METRICS for epoch in (1, 2)}
    final = {(metric.key, 2) for metric in (*schema.FINAL_METRICS, schema.FINAL_TEST_NLL_QUADRATURE)}
    once = (schema.PROBE_SET_SIZE, schema.PROBE_INDEPENDENT, schema.PROBE_SECONDS)
    layers = ("encoder_0", "q_mean", "q_log_var", "decoder_0", "output")
    parts = [(part, False) for part in schema.PROBE_PARTS] + [(part, True) for part in schema.PROBE_PARTS[1:]]
    parts += [(layer, scaled) for layer in layers for scaled in (False, True)]
    names = [
        schema.probe_key(*at) for part, s in parts for at in ((part, q, s) for q in schema.probe_quantities(part, s))
    ]
    probed = {(key, epoch) for key in (*names, *(quantity.key for quantity in once)) for epoch in (0, 1, 2)}
    assert set(history) == per_epoch | final | probed
    assert history[schema.FINAL_TEST_NLL.key, 2] == history[schema.FINAL_TEST_NLL_QUADRATURE.key, 2]
    assert 500 < history[schema.TRAIN_LOSS.key, 1] < 543.4 + 20
    assert history[schema.TRAIN_LOSS.key, 2] < history[schema.TRAIN_LOSS.key, 1]
    assert history[schema.TEST_NLL.key, 2] < history[schema.TEST_NEG_ELBO.key, 2]


def test_tags_tell_code_versions_machine_and_identity(grid, run_ids):
    one, other = (grid[0].pairs("tags", run_id) for run_id in run_ids.values())
    assert one[schema.FINGERPRINT] != other[schema.FINGERPRINT]
    for key in ("mlflow.source.git.commit", "git.dirty", "version.tensorflow", "machine.cores", "threads.intra_op"):
        assert one[key] == other[key] != ""


def test_artifacts_lie_in_the_store_and_in_the_runs_folder(grid, run_ids):
    place, _ = grid
    names = {
        schema.CONFIG_FILE,
        schema.HISTORY_FILE,
        schema.RECONSTRUCTIONS_FILE,
        schema.LATENT_FILE,
        schema.MANIFOLD_FILE,
    }
    for mc_samples, run_id in run_ids.items():
        (own,) = place.runs_folder.glob(f"K{mc_samples}-B100-seed0-*/1")
        ((uri,),) = place.query("select artifact_uri from runs where run_uuid = ?", run_id)
        folder = place.folder / uri.removeprefix("file://")
        assert {path.name for path in folder.iterdir()} == names
        assert {*names, schema.MODEL_FILE, "ledger.jsonl", "sent.json"} == {path.name for path in own.glob("[!.]*")}
        table = pd.read_parquet(folder / schema.HISTORY_FILE)
        assert list(table.columns) == [schema.EPOCH.key, *(metric.key for metric in schema.EPOCH_METRICS)]
        recorded = place.history(run_id)
        assert table[schema.TRAIN_LOSS.key].tolist() == [recorded[schema.TRAIN_LOSS.key, epoch] for epoch in (1, 2)]
        assert OmegaConf.load(folder / schema.CONFIG_FILE).epochs == 2


def test_the_same_grid_again_runs_nothing(grid):
    place, _ = grid
    before = place.runs()
    done = place.plan(*GRID)
    assert done.returncode == 0
    assert "2 cells: 0 to run, 2 skipped" in done.stderr
    assert place.runs() == before


def test_a_lost_store_is_no_reason_to_run_again_but_lost_ledgers_are(grid, tmp_path):
    place, again = grid[0], Workplace(tmp_path)
    shutil.copytree(place.runs_folder, again.runs_folder)
    command = ("-m", "mc_samples=1,3,5", *POOL, "study.plan_only=true")
    assert "3 cells: 1 to run, 2 skipped" in (said := again.plan(*command).stderr)
    assert re.search(r"mc_samples=5 +\d+s +\d\.\d GB +(earlier runs|calibration)", said)
    shutil.rmtree(again.runs_folder)
    shutil.copy(place.database, again.database)
    assert "3 cells: 3 to run" in again.plan(*command).stderr


def test_a_budget_leaves_whole_seeds_out_and_says_so(grid):
    """Doubling a budget that one seed does not fit into comes to one that some of four seeds fit into, not all."""
    for seconds in (2**power for power in range(12)):
        budget = f"study.budget={seconds}s"
        done = grid[0].plan("-m", *POOL, "mc_samples=7,9", "seed=0,1,2,3", budget, "study.plan_only=true")
        if done.returncode == 0:
            break
        assert "must have room for one seed" in done.stderr
    kept, dropped = re.search(r"budget +\S+ keeps seeds ([\d, ]+); dropped: ([\d, ]+)", done.stderr).groups()
    assert f"{kept}, {dropped}" == "0, 1, 2, 3"
    assert f"{2 * len(kept.split(', '))} to run, {2 * len(dropped.split(', '))} dropped" in done.stderr


def test_a_cell_that_is_run_again_by_itself_has_the_workers_numbers_bit_for_bit(grid, run_ids):
    place, _ = grid
    environment = {**ONE_THREAD, "TF_CPP_MIN_LOG_LEVEL": "0"}
    done = place.train("-m", "mc_samples=3", "study.rerun=all", environment=environment)
    assert done.returncode == 0, done.stderr
    # TensorFlow says there what it does to the process; this one halves its speed, see the epochs' loop in src.vae.
    assert "Compiled cluster using XLA" in done.stderr
    assert "M_TRIM_THRESHOLD" not in done.stderr
    first, second = cells(place)[3]
    assert first == run_ids[3]
    assert place.numbers(first) == place.numbers(second)
    assert place.pairs("tags", first)[schema.FINGERPRINT] == place.pairs("tags", second)[schema.FINGERPRINT]
    assert {path.name for path in place.runs_folder.glob("K3-B100-seed0-*/[0-9]")} == {"1", "2"}


def test_a_run_that_is_killed_goes_on_and_has_the_numbers_of_one_that_was_not(grid, run_ids, tmp_path):
    """More kills: tests/faults."""
    place, command = Workplace(tmp_path), ("mc_samples=3", "checkpoint.every=1")
    killed = place.train(*command, environment={**ONE_THREAD, **with_faults("kill training epoch=2")})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = place.train(*command, environment={**ONE_THREAD, **with_faults()})
    assert again.returncode == 0, again.stderr
    assert "epochs done before: 1\n" in again.stderr
    ((run_id, status),) = place.runs()
    assert status == "FINISHED"
    assert place.numbers(run_id) == grid[0].numbers(run_ids[3])


@pytest.fixture(scope="module")
def diverged(tmp_path_factory):
    """A grid of which a cell diverges; its scores are by draws of a subset, and some images are held out."""
    place = Workplace(tmp_path_factory.mktemp("diverged"))
    scored = ("data.validation_size=50", "evaluation.final_images=40", "data.pixels=dynamic", *BRIEF)
    done = place.train("-m", "optimizer=sgd", "learning_rate=1e9,0.001", "epochs=3", *scored)
    assert done.returncode == 1, done.stderr
    sql = "select run_uuid from params where key = 'learning_rate' and value = ?"
    return place, done.stderr, *(place.query(sql, rate)[0][0] for rate in ("1000000000.0", "0.001"))


def test_a_cell_that_diverges_is_recorded_and_does_not_stop_the_grid(diverged):
    place, said, lost, finished = diverged
    tags = place.pairs("tags", lost)
    assert tags[schema.STATUS] == schema.DIVERGED
    assert "not finite in epoch" in tags[schema.NOTE]
    assert place.pairs("tags", finished)[schema.STATUS] == schema.FINISHED
    assert place.pairs("tags", place.runs()[0][0])[schema.STATUS] == schema.FAILED
    assert (schema.FINAL_TEST_NLL.key, 3) not in place.history(lost)
    assert "1 of 2 cells finished in" in said
    assert f"finished  learning_rate=0.001         run {finished}" in said
    assert f"diverged  learning_rate=1000000000.0  run {lost}  Diverged: the loss is not finite" in said
    assert "Traceback" not in said


def test_a_score_by_draws_of_a_subset_and_held_out_images(diverged):
    place, said, _, finished = diverged
    history = place.history(finished)
    expected = {*schema.EPOCH_METRICS, schema.VALIDATION_NLL} - {schema.TRAIN_LOSS_VARIANCE_MC}  # without probes
    per_epoch = {(metric.key, epoch) for metric in expected for epoch in (1, 2, 3)}
    by_draws = (schema.FINAL_TEST_NLL_FIFTH, schema.FINAL_IW_ESS)
    assert set(history) == per_epoch | {(metric.key, 3) for metric in (*schema.FINAL_METRICS, *by_draws)}
    assert history[schema.FINAL_TEST_NLL_FIFTH.key, 3] > history[schema.FINAL_TEST_NLL.key, 3]
    assert 1 / 5 <= history[schema.FINAL_IW_ESS.key, 3] < 1
    assert abs(history[schema.VALIDATION_NLL.key, 3] - history[schema.TEST_NLL.key, 3]) < 30
    assert "(SE over a subset of 40 images)" in said


def test_a_signal_ends_the_run_and_its_study_as_killed(tmp_path):
    place = Workplace(tmp_path)
    process = place.start("-m", "mc_samples=1,3", "epochs=100000", *BRIEF)
    wait_until(lambda: list(place.runs_folder.glob("K3-*/1/ledger.jsonl")), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "The program was ended by SIGTERM" in errors
    place.sync()  # a killed process gives its store two seconds, which a slow machine may need more of
    assert [status for _, status in place.runs()] == ["KILLED", "KILLED"]
    assert {place.pairs("tags", run_id)[schema.STATUS] for run_id, _ in place.runs()} == {schema.KILLED}
