"""Plan, check and launch the cells of a grid: the Hydra side of the project."""

from src.sweep.compose import check_single, typed
from src.sweep.help import help_text, refuse
from src.sweep.launcher import PoolLauncher
from src.sweep.plugins import register
from src.sweep.sweeper import StudySweeper
