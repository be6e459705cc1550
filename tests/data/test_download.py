"""The download of Fashion-MNIST, with a server on this machine and small made files in its place."""

import gzip
import hashlib
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
from src.data.arrays import LABELS, TEST, TRAIN
from src.data.files import Published
from src.data.idx import FILES
from src.data.sources import SOURCES
from tests import idx_files
from tests.idx_files import idx_bytes, write_folder

FASHION = DataConfig(name="fashion_mnist")
CONTENT = {TRAIN: idx_files.TRAIN, TEST: idx_files.TEST, LABELS: idx_files.LABELS}
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
    published = {}
    for part, values in CONTENT.items():
        name, sha256 = f"{FILES[part]}.gz", hashlib.sha256(idx_bytes(values)).hexdigest()
        md5 = hashlib.md5((server.folder / name).read_bytes(), usedforsecurity=False).hexdigest()
        published[part] = Published(values.shape, sha256, f"http://{host}:{port}/{name}", md5)
    places = (tmp_path / "cache" / "fashion_mnist", tmp_path / "debian")
    monkeypatch.setitem(SOURCES, "fashion_mnist", replace(SOURCES["fashion_mnist"], places=places, published=published))
    monkeypatch.setenv("no_proxy", host)
    return places[0]


def files(folder):
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def offline(server):
    server.shutdown()
    server.server_close()


def test_missing_files_are_downloaded_once(cache, server):
    loaded = data.load(FASHION, seed=0)
    np.testing.assert_array_equal(loaded.train.reshape(CONTENT[TRAIN].shape), CONTENT[TRAIN])
    np.testing.assert_array_equal(loaded.test_labels, CONTENT[LABELS])
    assert files(cache) == {f"{name}.gz" for name in FILES.values()}
    data.load(FASHION, seed=0)
    assert len(server.requests) == 3
    (cache / "t10k-labels-idx1-ubyte.gz").unlink()
    data.ensure(FASHION)
    assert server.requests[3:] == ["GET /t10k-labels-idx1-ubyte.gz HTTP/1.1"]


def test_the_check_of_a_grid_downloads_nothing(cache, server):
    assert data.refusals(Config(data=FASHION)) == []
    (refused,) = data.refusals(Config(data=replace(FASHION, train_size=301)))
    assert refused.startswith("data.train_size must be at most the number of training images, 300")
    assert not cache.exists()
    assert server.requests == []


def test_other_folders_are_used_before_any_download(cache, server, tmp_path):
    write_folder(SOURCES["fashion_mnist"].places[1], ".gz")
    assert data.load(FASHION, seed=0).image_shape == (6, 9)
    assert data.load(replace(FASHION, path=str(write_folder(tmp_path / "own", ".xz"))), seed=0).image_shape == (6, 9)
    (refused,) = data.refusals(Config(data=replace(FASHION, path="nowhere")))
    assert "no train_images in " in refused
    assert all(remedy in refused for remedy in REMEDIES)
    assert server.requests == []


@pytest.mark.parametrize("damage", [gzip.compress(idx_bytes(CONTENT[TEST][::-1])), b"<html>Log in</html>", "cut short"])
def test_a_damaged_download_is_refused_and_not_kept_and_taken_up_again(cache, server, damage):
    published = server.folder / "t10k-images-idx3-ubyte.gz"
    content = published.read_bytes()
    published.write_bytes(content[:-1000] if damage == "cut short" else damage)
    with pytest.raises(data.DataError, match=r"t10k-images-idx3-ubyte.gz failed: .*hash") as caught:
        data.ensure(FASHION)
    assert all(remedy in str(caught.value) for remedy in REMEDIES)
    assert files(cache) == {"train-images-idx3-ubyte.gz"}
    published.write_bytes(content)
    data.ensure(FASHION)
    assert files(cache) == {f"{name}.gz" for name in FILES.values()}


def test_an_interrupted_download_leaves_no_half_file(cache, server):
    server.handler.cut = 1000
    with pytest.raises(data.DataError, match=r"train-images-idx3-ubyte.gz failed"):
        data.ensure(FASHION)
    assert files(cache) == set()


def test_a_file_that_is_not_there_any_more_or_cannot_be_written_is_named(cache, server):
    (server.folder / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(data.DataError, match=r"failed: .*404"):
        data.ensure(FASHION)
    cache.rmdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(data.DataError, match=r"failed: .*Not a directory"):
        data.ensure(FASHION)


# The real command on a machine where Fashion-MNIST is looked for in `folder` alone and published at `address`.
COMMAND = """
import runpy, sys
from dataclasses import replace
from pathlib import Path
from src.data.sources import SOURCES
folder, address, *sys.argv[1:] = sys.argv[1:]
known = {part: each._replace(url=address + part) for part, each in SOURCES["fashion_mnist"].published.items()}
SOURCES["fashion_mnist"] = replace(SOURCES["fashion_mnist"], places=(Path(folder),), published=known)
runpy.run_module("src.train", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("command", [["data=fashion_mnist"], ["-m", "data=mnist,fashion_mnist", "mc_samples=1,5"]])
def test_offline_ends_a_run_and_a_grid_before_any_run_exists(cache, server, tmp_path, command):
    offline(server)
    study, address = tmp_path / "study", f"http://127.0.0.1:{server.server_address[1]}/"
    places = [f"tracking.runs={study}/runs", f"tracking.uri=sqlite:///{study}/mlflow.db"]
    program = [sys.executable, "-c", COMMAND, str(cache), address]
    done = subprocess.run([*program, *command, *places], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("Connection refused") == 1
    assert all(remedy in done.stderr for remedy in REMEDIES)
    assert "Traceback" not in done.stderr
    assert not study.exists()


def test_the_published_shapes_are_those_of_the_files():
    """MNIST's files are always here, and Fashion-MNIST was made in their shape."""
    for part, known in SOURCES["fashion_mnist"].published.items():
        assert SOURCES["mnist"].array(part).shape == known.shape
