"""What a run records: its ledger, its checkpoint, where it comes from, and the copy in a tracker."""

from src.recording.checkpoint import Keeper
from src.recording.ledger import Ledger, Runs, attempts, held, is_held
from src.recording.provenance import cpu_name, fingerprint, git
from src.recording.recorder import Run, clean_up, recording
from src.recording.study import RunFailed, Study, UnfinishedError

__all__ = ["Keeper", "Ledger", "Run", "RunFailed", "Runs", "Study", "UnfinishedError"]
__all__ += ["attempts", "clean_up", "cpu_name", "fingerprint", "git", "held", "is_held", "recording"]
