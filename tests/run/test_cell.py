"""A cell that another process is at."""

import threading
import time

from src.config import TrackingConfig
from src.recording import Runs, fingerprint, held
from src.run import cell
from tests.commands import wait_until
from tests.conftest import small


def test_a_cell_that_is_being_run_elsewhere_is_waited_for_and_that_is_said(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "src")
    config = small(tracking=TrackingConfig(uri=f"sqlite:///{tmp_path}/mlflow.db", runs=str(tmp_path / "runs")))
    monkeypatch.setattr(cell, "attempt", lambda *_: None)  # by the time it is this one's turn, there is nothing to do
    waiting = threading.Thread(target=cell.run, args=(config, 0, None))
    with held(Runs(config.tracking).home(config, fingerprint(config))):
        waiting.start()
        said = "K=1 B=100 seed=0 is being run by another process; waiting until that one ends"
        wait_until(lambda: said in caplog.text)
        time.sleep(0.1)
        assert waiting.is_alive()
    waiting.join(600)
    assert not waiting.is_alive()
    assert "K=1 B=100 seed=0 was finished by another process meanwhile" in caplog.text


def test_without_probes_the_noise_of_a_minibatch_loss_is_not_measured_either():
    config = small()
    config.probe.epochs = []
    assert cell.probed(None, 1, config) == {}
