"""What a run records: its ledger, its checkpoint, where it comes from, what it costs, and the copy in a tracker."""

from src.recording.checkpoint import Checkpointer, discard_checkpoints
from src.recording.checkpoint import load as load_checkpoint
from src.recording.cost import Cost, costs, disk_bytes, matmul_rate, multiply_adds, pixels, training_multiply_adds
from src.recording.ledger import Ledger, Runs, attempt_numbers, held, is_held, write_whole
from src.recording.provenance import cpu_info, cpu_name, fingerprint, git, package_version, rounding, tags
from src.recording.recorder import Recorder, record, resume
from src.recording.study import RunFailed, Study, UnfinishedError, titled
from src.recording.uploader import (
    catch_up,
    close_as_killed,
    open_and_catch_up,
    open_tracker,
    settle,
    upload_if_possible,
)
