"""Checkpoints: the weights, the optimizer's state and the epoch, in one file, from which a run is continued.

What was recorded until then is in the run's ledger; order, binarisation and noise are functions of (seed, epoch,
step, draw). So a continued run gives the numbers of one that was not interrupted, bit for bit.
"""

import hashlib
import io
import logging
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.config import duration

log = logging.getLogger(__name__)

FILE, FORMER_FILE, UNFINISHED_FILE = "checkpoint", "checkpoint.former", "checkpoint.tmp"
DIGEST_BYTES = hashlib.sha256().digest_size


class Checkpoint(NamedTuple):
    """A run between two epochs.

    Attributes:
        epoch: epochs that are done.
        values: of every variable of the model and its optimizer, in their order.
    """

    epoch: int
    values: list[np.ndarray]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint into a run's folder. A crash at any moment leaves this one or the former one intact.

    Raises:
        OSError: the disk is full or cannot be written; the former checkpoint is unchanged.
    """
    packed = io.BytesIO()
    np.savez(packed, np.array(checkpoint.epoch), *checkpoint.values, owner=np.array(owner_of(folder)))
    body = packed.getvalue()
    unfinished = folder / UNFINISHED_FILE
    try:
        with unfinished.open("wb") as out:
            out.write(hashlib.sha256(body).digest() + body)
            out.flush()
            os.fsync(out.fileno())
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    if (folder / FILE).exists():
        (folder / FILE).replace(folder / FORMER_FILE)
    unfinished.replace(folder / FILE)


def owner_of(folder: Path) -> str:
    """The end of a folder's path, which names the cell and the attempt, or the trunk, also after `runs/` has moved."""
    return "/".join(folder.parts[-2:])


def load(folder: Path, recorded: float = math.inf) -> Checkpoint | None:
    """The last checkpoint of a run's folder that can be gone on from; None without one. Others are logged.

    Args:
        recorded: the last epoch that the run's ledger has. A checkpoint of a later one would leave a gap there.
    """
    for name in (FILE, FORMER_FILE):
        if (folder / name).exists():
            try:
                checkpoint = read(folder / name)
                if checkpoint.epoch <= recorded:
                    return checkpoint
                reason = f"The checkpoint {folder / name} is of epoch {checkpoint.epoch}, the ledger ends at {recorded}"
            except (ValueError, OSError) as error:
                reason = f"{error}"
            log.warning("%s. The run is continued from the checkpoint before it, or begun anew.", reason)
    return None


def read(path: Path) -> Checkpoint:
    """One checkpoint. Raises ValueError where its content does not match its digest, or is of another run."""
    content = path.read_bytes()
    digest, body = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError(f"The checkpoint {path} is damaged: its {len(body)} bytes do not match their SHA-256")
    with np.load(io.BytesIO(body)) as packed:
        arrays = dict(packed)
    owner = str(arrays.pop("owner", owner_of(path.parent)))  # an earlier version recorded none
    if owner != owner_of(path.parent):
        raise ValueError(f"The checkpoint {path} is of another run, {owner}")
    epoch, *values = (arrays[f"arr_{place}"] for place in range(len(arrays)))
    return Checkpoint(int(epoch), values)


def discard_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a run that has ended."""
    for name in (FILE, FORMER_FILE, UNFINISHED_FILE):
        (folder / name).unlink(missing_ok=True)


class Checkpointer:
    """Saves a run at intervals. A checkpoint that cannot be written is logged and does not fail the run.

    Args:
        folder: the run's own.
        every: `checkpoint.every`, a number of epochs or a time with its unit.
        variables: of the model and its optimizer; what is restored and saved.
    """

    def __init__(self, folder: Path, every: str, variables: Sequence):
        self.folder, self.variables = folder, variables
        self.epochs = int(every) if every.isdecimal() else None
        self.seconds = duration(every)
        self.saved_at = time.monotonic()

    def restore(self, recorded: float) -> int:
        """Set the variables to those of the last checkpoint that `load` finds; returns its epoch, 0 without one."""
        checkpoint = load(self.folder, recorded)
        if checkpoint is None:
            return 0
        self.assign(checkpoint.values)
        return checkpoint.epoch

    def assign(self, values: Sequence[np.ndarray]) -> None:
        """Set all variables."""
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)

    def after(self, epoch: int) -> None:
        """Save after an epoch (counted from 1) if the interval has passed."""
        if epoch % self.epochs if self.epochs else time.monotonic() - self.saved_at < self.seconds:
            return
        try:
            save(self.folder, Checkpoint(epoch, [np.asarray(variable) for variable in self.variables]))
        except OSError as error:
            log.warning("No checkpoint after epoch %d (%s). Training goes on; the former one is kept.", epoch, error)
        self.saved_at = time.monotonic()
