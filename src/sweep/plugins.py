"""What Hydra knows of the project: its settings, its named studies, its sweeper and its launcher."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import yaml  # type: ignore[import-untyped]
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.plugin import Plugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src import ROOT
from src.config import Config, ConfigError, TrackingConfig, refusal
from src.recording import Runs
from src.sweep.launcher import PoolLauncher
from src.sweep.sweeper import StudySweeper


def register_plugins() -> None:
    """Register the sweeper and the launcher with Hydra.

    A workaround: Hydra accepts plugins of the package `hydra_plugins` only, and finds a registered class by that name
    once more when it makes one. So the classes are put there, too; no such folder is needed.
    """
    plugins: dict[str, type[Plugin]] = {"StudySweeper": StudySweeper, "PoolLauncher": PoolLauncher}
    for plugin in plugins.values():
        Plugins.instance().register(plugin)  # the first use imports `hydra_plugins` where a package provides it
    package = sys.modules.setdefault("hydra_plugins", ModuleType("hydra_plugins"))
    setattr(package, StudySweeper.__module__.partition(".")[2], SimpleNamespace(**plugins))


def by(value: object, table: Mapping[object, object]) -> object:
    """What a table of a study has for a value, such as the epochs of every K: ${by:${mc_samples},{1:50,5:10}}."""
    if value not in table:
        raise ConfigError(f"Expected one of: {', '.join(map(str, table))}. Received: {value}.")
    return table[value]


def study(file: Path) -> DictConfig:
    """The settings of a named study. Raises ConfigError for a file that cannot be read as such."""
    try:
        text = file.read_text(encoding="utf-8")
        # Aliases of aliases, a few lines of them, make billions of nodes.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError("an alias, *name")
        node = cast(DictConfig, OmegaConf.create(text))
        node.pop("about", None)  # the study's page says it
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException, TypeError) as error:
        reason = " ".join(f"{error}".split())
        expected = "a study whose file is a YAML mapping without aliases"
        raise ConfigError(refusal("sweep", expected, f"{file} ({reason})", "Mend the file.")) from error
    return node


def register(task: Callable[..., object], arguments: Sequence[str] = ()) -> None:
    """Make the typed configuration, the sweeper and the launcher known to Hydra.

    Args:
        task: what a worker of the pool does with the settings of a cell, its number and its study.
        arguments: of the command. Of the named studies those that they name are read, of others the name is known.
    Raises:
        ConfigError: a study that is named cannot be read.
    """
    PoolLauncher.task = staticmethod(task)
    register_plugins()
    # Cached with the configuration: a worker that resolves it has another process id.
    OmegaConf.register_new_resolver("pid", os.getpid, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("runs", lambda path: str(Runs(TrackingConfig(runs=path)).root), replace=True)
    OmegaConf.register_new_resolver("by", by, replace=True)
    store = ConfigStore.instance()
    store.store(name="base", node=Config)
    store.store(
        group="hydra/sweeper",
        name="study",
        node={"_target_": f"{StudySweeper.__module__}.StudySweeper", "params": None},
    )
    store.store(
        group="hydra/launcher",
        name="pool",
        node={
            "_target_": f"{PoolLauncher.__module__}.PoolLauncher",
            "workers": None,
            "threads": 1,
            "time_limit": None,
            "recycle_gb": 2.0,
        },
    )
    named = [each for each in arguments if each.lstrip("+").startswith("sweep")]
    for file in sorted((ROOT / "sweeps").glob("*.yaml")):
        # Not empty: used in another way than by name, it is refused as a key that there is not.
        node = study(file) if any(file.stem in each for each in named) else {"sweep": "only by +sweep=NAME"}
        store.store(group="sweep", name=file.stem, node=node, package="_global_")
