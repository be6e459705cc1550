"""Spans of a run, taken from outside: Python imports this file at every start if its folder is on PYTHONPATH.

The environment variable SPANS names a file, to which every process of a command appends lines of JSON: the process, the
thread, what is done, its start and its end, in seconds of one clock that the processes of a machine share. Modules are
named by their package as they are executed; of a module in PARTS, functions are wrapped then.
"""

import json
import os
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import wraps
from importlib.machinery import SourceFileLoader

# By module, its functions and what they do. Arguments may be named as in str.format.
PARTS = {
    "hydra._internal.utils": {"_run_hydra": "hydra"},
    "hydra._internal.config_loader_impl": {
        "ConfigLoaderImpl.load_configuration": "composition",
        "ConfigLoaderImpl.load_sweep_config": "composition",
    },
    "src.sweep": {"register": "plugins, help"},
    "src.sweep.compose": {"check_single": "check of the settings", "check": "check of the settings"},
    "src.sweep.sweeper": {"StudySweeper.cells": "cells of the grid", "StudySweeper.plan": "plan"},
    "src.sweep.pool": {"Pool.run": "waiting for the workers", "Worker._start": "starting a worker"},
    "src.recording.uploader": {
        "open_tracker": "store: opening",
        "catch_up": "store: catching up",
        "upload": "store: sending",
        "Uploader.stop": "waiting for the uploader",
    },
    "src.recording.mlflow_store": {"MlflowStore.verify": "store: check"},
    "src.recording.provenance": {"fingerprint": "provenance", "tags": "provenance"},
    "src.recording.recorder": {"Recorder.log": "recording", "Recorder.log_artifact": "recording"},
    "src.recording.checkpoint": {"Checkpointer.after": "checkpoint"},
    "src.run": {"run": "cell"},
    "src.run.program_cache": {"use": "programs on disk: check", "seal_entries": "programs on disk: seals"},
    "src.run.progress": {"EpochBar.show": "progress bar"},
    "src.run.metrics": {"training_metrics": "statistics", "final_metrics": "final metrics"},
    "src.run.artifacts": {"save_artifacts": "pictures: predictions", "save_history": "saving the history"},
    "src.run.pictures": {
        "latent": "picture: latent",
        "reconstructions": "picture: reconstructions",
        "manifold": "picture: manifold",
    },
    "src.data.dataset": {"load": "data"},
    "src.vae.model": {"VAE.from_settings": "model"},
    "src.vae.programs": {"Programs.__init__": "model", "Programs.begin": "model"},
    "src.vae.training": {"make_trainer": "compiled epoch", "train": "Keras's fit"},
    "src.vae.probe": {"Probe.__init__": "model", "Probe.__call__": "probe", "Probe.loss_noise": "loss's noise"},
    "src.vae.evaluation": {"Evaluator.score": "scores", "Evaluator.quadrature": "quadrature"},
    "keras.src.models.model": {"Model.save": "saving the model"},
    "matplotlib.figure": {"Figure.savefig": "picture: {1.stem}"},
    "tensorflow.python.eager.polymorphic_function.tracing_compilation": {"_create_concrete_function": "tracing"},
}
TRAINING = "training"
threads = threading.local()


def begin(name):
    """Open a span, in the one that is open in this thread."""
    threads.__dict__.setdefault("open", []).append((name, time.monotonic()))


def end():
    """Close the latest span of this thread and write it down."""
    name, start = threads.open.pop()
    line = [os.getpid(), threading.current_thread().name, name, start, time.monotonic()]
    os.write(out, f"{json.dumps(line)}\n".encode())


def is_open(name):
    """Whether the latest open span of this thread has this name."""
    return [latest for latest, _ in threads.__dict__.get("open", [])[-1:]] == [name]


@contextmanager
def span(name):
    """What is done in a block. Directly in a span of the same name it is a part of that."""
    if is_open(name):
        yield
        return
    begin(name)
    try:
        yield
    finally:
        end()


def wrap(module, path, name):
    """Have a function of a module, `function` or `Class.method`, write its spans."""
    *owners, attribute = path.split(".")
    owner = getattr(module, *owners) if owners else module
    real = getattr(owner, attribute)

    @wraps(real)
    def wrapped(*arguments, **named):
        with span(name.format(*arguments)):
            return real(*arguments, **named)

    bound = isinstance(vars(owner)[attribute], classmethod)  # `real` has its class
    setattr(owner, attribute, staticmethod(wrapped) if bound else wrapped)


def wrap_training(training):
    """The compiled call of an epoch, as the product times it: from its start to the check of its records."""
    start, check = training.EpochRecorder.on_train_batch_begin, training.check_finite

    def started(*arguments, **named):
        start(*arguments, **named)
        begin(TRAINING)

    def ended(*arguments):
        if is_open(TRAINING):
            end()
        check(*arguments)

    training.EpochRecorder.on_train_batch_begin, training.check_finite = started, ended


def execute(loader, module):
    """Execute a module that is imported, as a span of its package, and wrap its functions."""
    package = module.__name__.partition(".")[0]
    with nullcontext() if package in sys.stdlib_module_names else span(f"import {package}"):
        load(loader, module)
    for path, name in PARTS.get(module.__name__, {}).items():
        wrap(module, path, name)
    if module.__name__ == "src.vae.training":
        wrap_training(module)


if "SPANS" in os.environ:
    out = os.open(os.environ["SPANS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    load, SourceFileLoader.exec_module = SourceFileLoader.exec_module, execute
