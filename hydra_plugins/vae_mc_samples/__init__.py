"""Where Hydra looks for plugins; the sweeper and the launcher live in `src.sweep`."""

from src.sweep.pool import PoolLauncher
from src.sweep.sweeper import StudySweeper

__all__ = ["PoolLauncher", "StudySweeper"]
