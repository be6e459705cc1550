"""From Hydra's configuration to checked `Config`s."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from typing import cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from src import config, data
from src.config import Config, ConfigError, contradictions, refusal
from src.sweep import factories
from src.sweep.help import GROUPS, explain, unknown_key, wrong_type

# The sections that a grid has as a whole.
OF_GRID = ("study.", "tracking.", "hydra.")


def structured(cfg: DictConfig) -> DictConfig:
    """The configuration of one run with its types, without Hydra's own section.

    Raises:
        ConfigError: a key that the typed configuration does not have.
    """
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    try:
        return cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), own))
    except OmegaConfBaseException as error:
        raise ConfigError(unknown_key(f"{error.full_key}", f"{error.full_key}")) from error


def typed(cfg: DictConfig) -> Config:
    """The typed configuration of one run. Raises ConfigError as `structured` does."""
    return cast(Config, OmegaConf.to_object(structured(cfg)))


def composer(loader: ConfigLoader, base: DictConfig) -> Callable[[Sequence[str]], Config]:
    """A function from a cell's overrides to its typed configuration.

    Composing takes Hydra 60 ms. Values do not change which files are composed, so it is done once for every choice of
    groups; values are then set on a copy, as Hydra does it.
    """
    parser = OverridesParser.create(config_loader=loader)

    @cache
    def composed(groups: tuple[str, ...]) -> DictConfig:
        return structured(loader.load_sweep_config(base, list(groups)))

    def is_value(override: Override) -> bool:
        return override.input_line is not None and override.input_line[0] not in "+~" and not is_group(override)

    def is_group(override: Override) -> bool:
        return override.key_or_group in GROUPS or "/" in override.key_or_group

    def compose(cell: Sequence[str]) -> Config:
        overrides = parser.parse_overrides(list(cell))
        own = [item for item in overrides if not item.key_or_group.startswith("hydra.")]
        cfg = composed(tuple(item.input_line or "" for item in own if not is_value(item))).copy()
        for item in filter(is_value, own):
            try:
                OmegaConf.update(cfg, item.key_or_group, item.value(), merge=True)
            except OmegaConfBaseException as error:
                key, value = item.key_or_group, item.get_value_element_as_str()
                raise ConfigError(wrong_type(key, value)) from error
        try:
            return cast(Config, OmegaConf.to_object(cfg))
        except InterpolationResolutionError as error:
            reason = str(error).splitlines()[0].partition("resolving interpolation: ")[2]
            raise ConfigError(
                f"{error.full_key} follows another setting. {reason} Or give it: {error.full_key}=..."
            ) from error

    return compose


def refusals(cell: Config) -> list[str]:
    """All that is wrong with a cell: its settings one by one, then with its data set, then with each other."""
    return config.refusals(cell) or data.refusals(cell) or contradictions(cell)


def expand(overrides: Sequence[Override]) -> list[list[str]]:
    """The cells of a grid as overrides: every combination of the swept values. Of a repeated key the last one counts.

    Raises:
        ConfigError: a sweep over an interval, or over what the grid has as a whole.
    """
    axes: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            axes[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif key.startswith(OF_GRID):
            received = (override.input_line or "").partition("=")[2]
            raise ConfigError(refusal(key, "one value, as the cells of a grid share it", received, "Start two grids."))
        elif override.is_discrete_sweep():
            axes[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            received = (override.input_line or "").partition("=")[2]
            raise ConfigError(refusal(key, "a list of values or range(...)", received, f"For example {key}=1,5."))
    return [list(cell) for cell in product(*axes.values())]


def check(compose: Callable[[Sequence[str]], Config], grid: Sequence[list[str]]) -> list[Config]:
    """The checked configuration of every cell. Raises one ConfigError for the grid, with each distinct reason once."""
    configs, refused = [], Counter[str]()
    for cell in grid:
        try:
            config = compose(cell)
            refused.update(refusals(config))
            configs.append(config)
        except (ConfigError, HydraException) as error:
            refused[explain(error, cell)] += 1
    if refused:
        reasons = "\n".join(f"{reason} ({count} of {len(grid)} cells)" for reason, count in refused.items())
        raise ConfigError(f"The grid is refused; nothing was started.\n{reasons}")
    return configs


def check_single(run: Config) -> None:
    """Refuse a single run that cannot be run, before anything is made for it. Raises ConfigError."""
    if wrong := refusals(run):
        raise ConfigError("\n".join(wrong))
    if run.study.plan_only or run.study.budget or run.study.until:
        raise ConfigError(
            "study.plan_only, budget and until are for grids. Expected -m or +sweep=NAME. Received neither. "
            "Plan this one run as a grid of one cell: python -m src.train -m study.plan_only=true ..."
        )
    data.ensure(run.data)
    factories.ensure([run])
