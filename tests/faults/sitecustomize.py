"""Faults put into the product from outside: Python imports this file at every start if its folder is on PYTHONPATH.

The environment variable FAULTS lists them, one a line: WHAT WHEN key=value ...

    WHAT    raise, exit, kill (by SIGKILL), hang, wait, nan (a weight), full (the disk), tear (a line of the ledger)
    WHEN    training (in the midst of an epoch), trained (and not recorded yet), writing (its line of the ledger),
            recorded, saving (its checkpoint), renaming (the former one is set aside), saved, ending (all are done)
    keys    epoch, and any setting of the cell; once=FILE, which is made then: happens only where it is not there yet;
            gone=FILE, which is made too: `wait` ends when somebody has removed it
"""

import errno
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

# Longer than any test; what a failed test leaves behind ends by itself.
LONG_SECONDS = 900
# The cell and the epoch that this process is at.
here = SimpleNamespace(config=None, epoch=0, dying=False)


def strike(when, **more):
    """Let happen what is to happen here and now."""
    while here.dying:
        time.sleep(1)
    for line in os.environ["FAULTS"].splitlines() if here.config else ():
        what, moment, *conditions = line.split()
        wanted = dict(condition.split("=", 1) for condition in conditions)
        files = {key: Path(wanted.pop(key)) for key in ("once", "gone") if key in wanted}
        found = {key: str(here.epoch if key == "epoch" else getattr(here.config, key)) for key in wanted}
        if moment != when or found != wanted or ("once" in files and files["once"].exists()):
            continue
        for file in files.values():
            file.touch()
        FAULTS[what](**more, **files)


def error(**_):
    raise RuntimeError("a fault that was put in")


def kill(model=None, **_):
    if model is None:
        os.kill(os.getpid(), signal.SIGKILL)
    # In the midst of the epoch, which is about to begin.
    here.dying = True
    threading.Timer(0.002, kill).start()


def hang(**_):
    time.sleep(LONG_SECONDS)


def wait(gone, **_):
    deadline = time.monotonic() + LONG_SECONDS
    while gone.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def nan(model, **_):
    variable = model.vae.trainable_variables[0]
    variable.assign(variable * float("nan"))


def full(**_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tear(file, line, **_):
    with file.open("ab") as out:
        out.write(line[: len(line) // 2])
    kill()


FAULTS = {
    "raise": error,
    "exit": lambda **_: os._exit(3),
    "kill": kill,
    "hang": hang,
    "wait": wait,
    "nan": nan,
    "full": full,
    "tear": tear,
}


def nothing(*_, **__):
    pass


def around(owner, name, before=nothing, after=nothing):
    """Wrap a function: both are given its arguments."""
    real = getattr(owner, name)

    def wrapped(*arguments, **named):
        before(*arguments, **named)
        result = real(*arguments, **named)
        after(*arguments, **named)
        return result

    setattr(owner, name, wrapped)


def at(moment):
    return lambda *_, **__: strike(moment)


def begin(trainer, config, on_epoch, done=0):
    here.config, here.epoch = config, done
    print(f"epochs done before: {done}", file=sys.stderr, flush=True)


def epoch_begin(recorder, epoch, logs=None):
    here.epoch = epoch + 1


def batch_begin(recorder, batch, logs=None):
    strike("training", model=recorder.model)


def append(ledger, kind, **content):
    if kind == "metrics" and content["step"] == here.epoch:
        strike("writing", file=ledger.file, line=json.dumps({"event": kind, **content}).encode())


def flush(descriptor):
    if Path(f"/proc/self/fd/{descriptor}").readlink().name == "checkpoint.tmp":
        strike("saving")


def rename(path, target):
    if path.name == "checkpoint":
        strike("renaming")


def inject(cell):
    """Wrap the steps of a run; `cell` is the module src.run.cell, which the process has just imported."""
    from src.recording.checkpoint import Checkpointer
    from src.recording.ledger import Ledger
    from src.run import fork
    from src.vae.training import EpochRecorder

    EpochRecorder.on_epoch_begin = epoch_begin
    around(cell, "train", before=begin)
    around(fork, "train", before=begin)
    around(EpochRecorder, "on_train_batch_begin", after=batch_begin)
    around(EpochRecorder, "on_epoch_end", before=at("trained"))
    around(Ledger, "append", before=append)
    around(Checkpointer, "after", before=at("recorded"), after=at("saved"))
    around(os, "fsync", before=flush)
    around(Path, "replace", after=rename)
    around(cell, "save_artifacts", before=at("ending"))


class Importer(importlib.abc.MetaPathFinder):
    """Calls `inject` after src.run.cell has been imported."""

    def find_spec(self, name, path, target=None):
        if name != "src.run.cell":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def load_and_inject(module):
            load(module)
            inject(module)

        spec.loader.exec_module = load_and_inject
        return spec


if "FAULTS" in os.environ:
    sys.meta_path.insert(0, Importer())
