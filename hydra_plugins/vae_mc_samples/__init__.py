"""Where Hydra looks for plugins; the sweeper lives in `src.sweep`."""

from src.sweep.sweeper import StudySweeper

__all__ = ["StudySweeper"]
