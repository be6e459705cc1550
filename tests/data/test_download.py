"""The download of Fashion-MNIST, with a server on this machine and small made files in its place."""

import gzip
import hashlib
import logging
import subprocess
import sys
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from src import ROOT, data
from src.config import Config, DataConfig
from src.data import idx, refusals
from src.data.sources import SOURCES
from tests.idx_files import LABELS, TEST, TRAIN, idx_bytes, write_folder

FASHION = DataConfig(name="fashion_mnist")
CONTENT = {"train_images": TRAIN, "test_images": TEST, "test_labels": LABELS}
REMEDIES = ("apt install dataset-fashion-mnist", "data.path=FOLDER", "one run online")


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; cuts every file short where told to."""

    cut = 0

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) - self.cut])
        self.close_connection = True

    def log_message(self, *args):
        self.server.requests.append(args[1])


@pytest.fixture
def server(tmp_path):
    """Made files, served on the loopback; `folder` can be changed, `requests` is what was asked for."""
    folder = write_folder(tmp_path / "published", ".gz")
    handler = type("Cutting", (Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as running:
        running.folder, running.handler, running.requests = folder, handler, []
        Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def cache(tmp_path, server, monkeypatch):
    """The cache folder of a Fashion-MNIST that is published by the server; Debian's folder is empty."""
    host, port = server.server_address
    published = replace(
        SOURCES["fashion_mnist"],
        folders=(tmp_path / "cache" / "fashion_mnist", tmp_path / "debian"),
        checksums={part: hashlib.sha256(idx_bytes(values)).hexdigest() for part, values in CONTENT.items()},
        address=f"http://{host}:{port}/",
    )
    monkeypatch.setitem(SOURCES, "fashion_mnist", published)
    monkeypatch.setenv("no_proxy", host)
    return published.folders[0]


def files(folder):
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")} if folder.exists() else set()


def offline(server):
    server.shutdown()
    server.server_close()


def test_missing_files_are_downloaded_once(cache, server):
    loaded = data.load(FASHION, seed=0)
    np.testing.assert_array_equal(loaded.train.reshape(TRAIN.shape), TRAIN)
    np.testing.assert_array_equal(loaded.test_labels, LABELS)
    assert files(cache) == {f"{name}.gz" for name in idx.FILES.values()}
    assert len(server.requests) == 3
    data.load(FASHION, seed=0)
    assert len(server.requests) == 3


def test_the_check_of_a_grid_downloads_nothing(cache, server):
    assert refusals(Config(data=FASHION)) == []
    (problem,) = refusals(Config(data=replace(FASHION, train_size=60_001)))
    assert problem.startswith("data.train_size must be at most the number of training images, 60000")
    assert not cache.exists()
    assert server.requests == []


def test_only_what_is_missing_is_downloaded(cache, server):
    data.ensure(FASHION)
    (cache / "t10k-labels-idx1-ubyte.gz").unlink()
    server.requests.clear()
    data.ensure(FASHION)
    assert server.requests == ["GET /t10k-labels-idx1-ubyte.gz HTTP/1.1"]


def test_debians_folder_is_used_before_any_download(cache, server):
    write_folder(SOURCES["fashion_mnist"].folders[1], ".gz")
    np.testing.assert_array_equal(data.load(FASHION, seed=0).train.reshape(TRAIN.shape), TRAIN)
    assert server.requests == []
    assert not cache.exists()


def test_a_folder_that_is_named_is_the_only_one(cache, server, tmp_path):
    config = replace(FASHION, path=str(write_folder(tmp_path / "own", ".xz")))
    assert data.load(config, seed=0).image_shape == (6, 9)
    (problem,) = refusals(Config(data=replace(FASHION, path="nowhere")))
    assert "train-images-idx3-ubyte is missing" in problem
    assert all(remedy in problem for remedy in REMEDIES)
    assert server.requests == []


@pytest.mark.parametrize("damage", [gzip.compress(idx_bytes(TEST[::-1])), b"<html>Log in to this network</html>", b""])
def test_a_damaged_download_is_refused_and_not_kept(cache, server, damage):
    (server.folder / "t10k-images-idx3-ubyte.gz").write_bytes(damage)
    with pytest.raises(
        idx.DataError, match=r"t10k-images-idx3-ubyte.gz is damaged. Expected SHA-256 .* unpacked"
    ) as caught:
        data.ensure(FASHION)
    assert all(remedy in str(caught.value) for remedy in REMEDIES)
    assert files(cache) == {"train-images-idx3-ubyte.gz"}


def test_an_interrupted_download_leaves_no_half_file_and_is_taken_up_again(cache, server):
    server.handler.cut = 1000
    with pytest.raises(idx.DataError, match=r"train-images-idx3-ubyte.gz is damaged"):
        data.ensure(FASHION)
    assert files(cache) == set()
    server.handler.cut = 0
    (cache / "part-train-images-idx3-ubyte.gz").write_bytes(b"left behind by a process that was killed")
    data.ensure(FASHION)
    assert files(cache) == {f"{name}.gz" for name in idx.FILES.values()}


def test_a_file_that_is_not_there_any_more_is_named(cache, server):
    (server.folder / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(idx.DataError, match=r"cannot be downloaded.*404"):
        data.ensure(FASHION)


def test_a_cache_that_cannot_be_written_is_named(cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(idx.DataError, match=r"cannot be downloaded to .*fashion_mnist.*File exists"):
        data.ensure(FASHION)


def test_offline_is_one_error_with_three_remedies(cache, server):
    offline(server)
    with pytest.raises(idx.DataError) as caught:
        data.ensure(FASHION)
    message = str(caught.value)
    assert "cannot be downloaded" in message
    assert "Connection refused" in message
    assert all(remedy in message for remedy in REMEDIES)


# The real command on a machine where Fashion-MNIST is looked for in `folder` alone and published at `address`.
COMMAND = """
import runpy, sys
from dataclasses import replace
from pathlib import Path
from src.data.sources import SOURCES
folder, address, *sys.argv[1:] = sys.argv[1:]
SOURCES["fashion_mnist"] = replace(SOURCES["fashion_mnist"], folders=(Path(folder),), address=address)
runpy.run_module("src.train", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("command", [["data=fashion_mnist"], ["-m", "data=mnist,fashion_mnist", "mc_samples=1,5"]])
def test_offline_ends_a_run_and_a_grid_before_any_run_exists(cache, server, tmp_path, command):
    offline(server)
    study = tmp_path / "study"
    places = [f"tracking.runs={study}/runs", f"tracking.uri=sqlite:///{study}/mlflow.db"]
    program = [sys.executable, "-c", COMMAND, str(cache), SOURCES["fashion_mnist"].address]
    done = subprocess.run([*program, *command, *places], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("cannot be downloaded") == 1
    assert all(remedy in done.stderr for remedy in REMEDIES)
    assert "Traceback" not in done.stderr
    assert not study.exists()


def test_a_terminal_sees_progress_and_a_pipe_a_line_per_file(cache, server, monkeypatch, capsys, caplog):
    with caplog.at_level(logging.INFO, "src"):
        data.ensure(FASHION)
    assert caplog.records[0].message == f"downloading train-images-idx3-ubyte.gz to {cache}"
    assert capsys.readouterr().err == ""
    (cache / "train-images-idx3-ubyte.gz").unlink()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    data.ensure(FASHION)
    shown = capsys.readouterr().err
    assert "train-images-idx3-ubyte.gz: 100%" in shown
    assert "B/s" in shown


def test_the_published_shapes_are_those_of_the_files():
    """MNIST's files are always here, and Fashion-MNIST was made in their shape."""
    for part, shape in SOURCES["fashion_mnist"].shapes.items():
        assert data.shape(DataConfig(), part) == shape
