"""Compiled programs on disk, for later processes: XLA's own persistent cache, in the user's cache folder.

XLA renames an entry when it is complete, so processes do not disturb each other. But XLA fails where an entry is
damaged or the folder cannot be written. So each entry gets a seal, its SHA-256 in a file beside it, when a run ends. A
process that starts removes entries that do not match their seals, and unsealed ones from before the machine was
started, which may not have reached the disk.
"""

import hashlib
import json
import logging
import os
import shutil
import sys
from functools import cache
from pathlib import Path

import platformdirs
import psutil

from src.recording import cpu_info, held, package_version, rounding, write_whole

log = logging.getLogger(__name__)

ENTRIES = "*.pb"
MOST_ENTRIES = 64  # the latest; about 40 MB, which are read and checked at every start
FREE_BYTES = 500e6  # a disk with less free space gets no entries
# What compiled code depends on beside its program, TensorFlow's version, processor and threads.
VARIABLES = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")


@cache
def folder() -> Path:
    """Where the programs are kept that this machine can use with the environment that the process began with."""
    features = hashlib.sha256(cpu_info("flags").encode()).hexdigest()
    settings = {name: os.environ.get(name, "") for name in VARIABLES}
    made_for = json.dumps([package_version("tensorflow"), features, rounding(), settings], sort_keys=True)
    return (
        platformdirs.user_cache_path("vae-mc-samples") / "programs" / hashlib.sha256(made_for.encode()).hexdigest()[:16]
    )


def use() -> None:
    """Let TensorFlow take programs from `folder` and leave new ones there. Without effect once it has been imported."""
    place = folder()
    if "tensorflow" in sys.modules or not prepared(place):
        return
    flags = f"--tf_xla_persistent_cache_directory={place} --tf_xla_deterministic_cluster_names=true"
    os.environ["TF_XLA_FLAGS"] = f"{os.environ.get('TF_XLA_FLAGS', '')} {flags}".strip()
    # XLA tries to read each entry as text first, and reports that as an error.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def prepared(place: Path) -> bool:
    """Whether a folder can be read and written; it holds sound entries only then."""
    try:
        with held(place):  # what two processes remove at the same time would be missing for one of them
            clean(place)
        if os.access(place, os.W_OK) and shutil.disk_usage(place).free > FREE_BYTES:
            return True
        trouble = "it cannot be written, or its disk is nearly full"
    except OSError as error:
        trouble = str(error)
    log.info("Compiled programs are not kept in %s (%s)", place, trouble)
    return False


def clean(place: Path) -> None:
    """Remove what XLA must not read, and the oldest entries where there are too many."""
    for number, entry in enumerate(sorted(place.glob(ENTRIES), key=lambda entry: -entry.stat().st_mtime)):
        seal = seal_of(entry)
        sound = seal.read_text() == checksum(entry) if seal.exists() else entry.stat().st_mtime > psutil.boot_time()
        if not sound or number >= MOST_ENTRIES:
            entry.unlink(missing_ok=True)
            seal.unlink(missing_ok=True)


def seal_entries(place: Path) -> None:
    """Seal what has no seal yet. A seal that cannot be written is left out."""
    for entry in place.glob(ENTRIES):
        seal = seal_of(entry)
        try:
            if not seal.exists():
                write_whole(seal, checksum(entry))
        except OSError as error:
            log.info("A compiled program is not sealed (%s).", error)


def seal_of(entry: Path) -> Path:
    return entry.with_suffix(".sha256")


def checksum(entry: Path) -> str:
    return hashlib.sha256(entry.read_bytes()).hexdigest()
