"""What a user types, and what then stands in the store and in the run's folder."""

import lzma
import shutil
import signal
import subprocess

import pandas as pd
import pytest
from omegaconf import OmegaConf

from src import ROOT, config, schema
from src.config import Config
from tests.commands import BRIEF, CLOCKED, Workplace, wait_until

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
    place = Workplace(tmp_path)
    grid = ["-m", "epochs=1,2"] if multirun else []
    done = place.train(*grid, *overrides)
    assert done.returncode == 2
    for part in parts:
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("ledger.jsonl"))


def test_every_wrong_cell_of_a_grid_is_named_at_once(tmp_path):
    done = Workplace(tmp_path).train("-m", "mc_samples=0,1,abc", "batch_size=100,251")
    assert done.returncode == 2
    for part in ("nothing was started", "mc_samples=0", "mc_samples=abc", "batch_size=251", "of 6 cells"):
        assert part in done.stderr


@pytest.mark.parametrize(
    "options", [["epochs=1", "-m", "seed=0,1"], ["-m", "epochs=1", "seed=0,1"], ["seed=0,1", "-m"]]
)
def test_options_may_stand_anywhere_among_the_overrides(tmp_path, options):
    place = Workplace(tmp_path)
    command = [*place.command()[:3], *options, *place.command()[3:], "study.plan_only=true"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 cells: 2 to run" in done.stderr


def test_help_names_every_key_with_its_default(tmp_path):
    done = Workplace(tmp_path).train("--help")
    assert done.returncode == 0
    for entry in config.entries(Config()):
        assert entry.key + "=" in done.stdout
        assert entry.meaning in done.stdout


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A grid of two cells, one value given twice, run by the real command."""
    place = Workplace(tmp_path_factory.mktemp("grid"))
    return place, place.train("-m", "mc_samples=1,3,1")


def test_a_grid_is_a_parent_run_with_its_cells_as_children(grid):
    place, done = grid
    assert done.returncode == 0, done.stderr
    (parent, *cells) = place.runs()
    assert [status for _, status in (parent, *cells)] == ["FINISHED"] * 3
    cells.reverse()  # the longest was run first
    params = place.pairs("params", parent[0])
    assert {key.partition(".")[0] for key in params} == {"design"}
    assert (params["design.margin"], params["design.n_max"], params["design.comparisons"]) == ("0.25", "None", "1")
    assert place.pairs("tags", parent[0])[schema.STATUS] == schema.FINISHED
    for (run_id, _), mc_samples in zip(cells, ("1", "3"), strict=True):
        tags = place.pairs("tags", run_id)
        assert tags[schema.PARENT_RUN] == parent[0]
        assert tags[schema.STATUS] == schema.FINISHED
        assert tags[schema.RUN_NAME] == f"K={mc_samples} B=100 seed=0"
        assert place.pairs("params", run_id)["mc_samples"] == mc_samples


def test_params_are_the_flattened_settings_and_what_the_nll_is(grid):
    place, _ = grid
    params = place.pairs("params", place.runs()[1][0])
    assert set(params) == {*config.flatten(Config()), schema.NLL_KIND, schema.DATA_DIGEST}
    assert params[schema.NLL_KIND] == "BCE pseudo-NLL"
    assert params["data.train_size"] == "250"


def test_metrics_are_exactly_the_designs(grid):
    place, _ = grid
    history = place.history(place.runs()[1][0])
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


def test_a_score_by_draws_of_a_subset_and_held_out_images(tmp_path):
    place = Workplace(tmp_path)
    done = place.train("data.validation_size=50", "evaluation.final_images=40", "data.pixels=dynamic", *BRIEF)
    assert done.returncode == 0, done.stderr
    ((run_id, _),) = place.runs()
    history = place.history(run_id)
    expected = {*schema.EPOCH_METRICS, schema.VALIDATION_NLL} - {schema.TRAIN_LOSS_VARIANCE_MC}  # without probes
    per_epoch = {(metric.key, epoch) for metric in expected for epoch in (1, 2)}
    by_draws = (schema.FINAL_TEST_NLL_FIFTH, schema.FINAL_IW_ESS)
    assert set(history) == per_epoch | {(metric.key, 2) for metric in (*schema.FINAL_METRICS, *by_draws)}
    assert history[schema.FINAL_TEST_NLL_FIFTH.key, 2] > history[schema.FINAL_TEST_NLL.key, 2]
    assert 1 / 5 <= history[schema.FINAL_IW_ESS.key, 2] < 1
    assert abs(history[schema.VALIDATION_NLL.key, 2] - history[schema.TEST_NLL.key, 2]) < 30
    assert "(SE over a subset of 40 images)" in done.stderr


def test_tags_tell_code_versions_machine_and_identity(grid):
    place, _ = grid
    tags = [place.pairs("tags", run_id) for run_id, _ in place.runs()[1:]]
    assert tags[0][schema.FINGERPRINT] != tags[1][schema.FINGERPRINT]
    for key in ("mlflow.source.git.commit", "git.dirty", "version.tensorflow", "machine.cores", "threads.intra_op"):
        assert tags[0][key] == tags[1][key] != ""


def test_artifacts_lie_in_the_store_and_in_the_runs_folder(grid):
    place, _ = grid
    names = {
        schema.CONFIG_FILE,
        schema.HISTORY_FILE,
        schema.RECONSTRUCTIONS_FILE,
        schema.LATENT_FILE,
        schema.MANIFOLD_FILE,
    }
    for mc_samples, (run_id, _) in zip((3, 1), place.runs()[1:], strict=True):
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


def test_a_pipe_gets_one_line_per_cell_and_no_bar(grid):
    _, done = grid
    lines = done.stderr.strip().splitlines()
    assert [line for line in lines if "cell 1/2  K=3 B=100 seed=0  finished in" in line]
    assert [line for line in lines if "test BCE pseudo-NLL" in line and "cell 2/2" in line]
    assert "2 of 2 cells finished in" in lines[-3]
    assert lines[-2].startswith("B=100: undecided against K=3")
    assert "epoch/s" not in done.stderr


def test_the_same_command_gives_the_same_numbers_bit_for_bit(grid):
    place, _ = grid
    done = place.train("mc_samples=3", "tracking.experiment=again", environment={"TF_CPP_MIN_LOG_LEVEL": "0"})
    assert done.returncode == 0, done.stderr
    # TensorFlow says there what it does to the process; this one halves its speed, see src.vae.epoch_order.epochs_from.
    assert "Compiled cluster using XLA" in done.stderr
    assert "M_TRIM_THRESHOLD" not in done.stderr
    runs = [place.runs()[1][0], place.runs()[-1][0]]
    first, second = ({k: v for k, v in place.history(run).items() if k[0] not in CLOCKED} for run in runs)
    assert first == second
    tags = [place.pairs("tags", run) for run in runs]
    assert tags[0][schema.FINGERPRINT] == tags[1][schema.FINGERPRINT]
    assert schema.PARENT_RUN not in tags[1]


def test_a_cell_that_diverges_is_recorded_and_does_not_stop_the_grid(tmp_path):
    place = Workplace(tmp_path)
    done = place.train("-m", "optimizer=sgd", "learning_rate=1e9,0.001", "epochs=3", *BRIEF)
    assert done.returncode == 1
    parent = place.runs()[0][0]
    sql = "select run_uuid from params where key = 'learning_rate' and value = ?"
    ((diverged,), (finished,)) = (place.query(sql, rate)[0] for rate in ("1000000000.0", "0.001"))
    tags = place.pairs("tags", diverged)
    assert tags[schema.STATUS] == schema.DIVERGED
    assert "not finite in epoch" in tags[schema.NOTE]
    assert "diverged: the loss is not finite in epoch" in done.stderr
    assert place.pairs("tags", finished)[schema.STATUS] == schema.FINISHED
    assert place.pairs("tags", parent)[schema.STATUS] == schema.FAILED
    assert (schema.FINAL_TEST_NLL.key, 3) not in place.history(diverged)
    assert "1 of 2 cells finished in" in done.stderr
    assert f"finished  learning_rate=0.001         run {finished}" in done.stderr
    assert f"diverged  learning_rate=1000000000.0  run {diverged}  Diverged: the loss is not finite" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_raises_is_failed_with_its_traceback(tmp_path):
    """A test file whose header is sound and whose content is not passes the check and fails in the run."""
    folder = tmp_path / "damaged"
    shutil.copytree(ROOT / "data" / "mnist", folder)
    path = folder / "t10k-labels-idx1-ubyte.xz"
    content = bytearray(lzma.decompress(path.read_bytes()))
    content[500] ^= 1
    path.write_bytes(lzma.compress(bytes(content)))
    place = Workplace(tmp_path / "store")
    done = place.train(f"data.path={folder}", *BRIEF)
    assert done.returncode == 1
    ((run_id, status),) = place.runs()
    assert status == "FAILED"
    assert place.pairs("tags", run_id)[schema.STATUS] == schema.FAILED
    assert "undamaged" in place.pairs("tags", run_id)[schema.NOTE]
    ((uri,),) = place.query("select artifact_uri from runs")
    text = (place.folder / uri.removeprefix("file://") / schema.TRACEBACK_FILE).read_text()
    assert text.startswith("Traceback")
    assert "DataError" in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_and_its_study_as_killed(tmp_path, number):
    place = Workplace(tmp_path)
    process = place.start("-m", "mc_samples=1,3", "epochs=100000", *BRIEF)
    made, filled = "select 1 from sqlite_master where name = 'metrics'", "select 1 from metrics"
    wait_until(lambda: place.query(made) and place.query(filled), process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"The program was ended by {number.name}; open runs are KILLED." in errors
    place.sync()  # a killed process gives its store two seconds, which a slow machine may need more of
    assert [status for _, status in place.runs()] == ["KILLED", "KILLED"]
    for run_id, _ in place.runs():
        assert place.pairs("tags", run_id)[schema.STATUS] == schema.KILLED


def test_a_signal_ends_a_run_whose_output_nobody_reads_any_more(tmp_path):
    place = Workplace(tmp_path)
    process = place.start("epochs=100000", *BRIEF)
    wait_until(lambda: list(place.runs_folder.glob("K1-*/1/ledger.jsonl")), process)
    process.stdout.close()
    process.stderr.close()
    process.terminate()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
