"""The text of --help, and the reason and remedy of a refused command."""

import difflib
import re

from src.config import Config, refusal, settings

GROUPS = ("data", "model")
# The exit code of a command that is refused.
USAGE_ERROR = 2
EXAMPLES = """\
Examples:
  python -m src.train                                    one run with the defaults
  python -m src.train -m mc_samples=1,5,25               a grid, one run per value; again to go on with what is left
  python -m src.train -m mc_samples=1,5 batch_size=30,100 'seed=range(0,5)' hydra/launcher=pool
  python -m src.train -m mc_samples=1,5 study.plan_only=true
  python -m src.train +sweep=quick                       a named study of sweeps/
  python -m src.train -m mc_samples=1,5,25 fork.epochs=1 study.until=decided study.margin=0.25
      adds seeds until each K is decided against the largest. Forked runs of a seed share their first epochs, so they
      differ by what K does after the fork. What it does before is left out: divergence, the choice of a basin.

Finished cells are known from the ledgers in runs/ (tracking.runs): without them a cell runs again, whatever MLflow
has.
"""


def help_text() -> str:
    """Every key with its default, meaning and domain, from the configuration itself."""
    leaves = list(settings(Config()))
    width = max(len(f"{leaf.key}={leaf.value}") for leaf in leaves)
    lines = []
    for leaf in leaves:
        domain = f" ({leaf.domain.expected})" if leaf.domain else ""
        default = str("null" if leaf.value is None else leaf.value).replace(" ", "")
        lines.append(f"  {leaf.key + '=' + default:<{width}}  {leaf.meaning}{domain}")
    return (
        "Train a VAE for every cell of a grid, to learn what mc_samples buys.\n\n"
        f"{EXAMPLES}\nKeys and their defaults:\n" + "\n".join(lines) + "\n\n"
        "Presets of several keys: data=NAME from conf/data, model=NAME from conf/model, +sweep=NAME from sweeps.\n"
        "Launchers of grids, hydra/launcher=NAME: basic (one cell after the other), pool (hydra.launcher.workers=4,\n"
        "threads=1, time_limit=2h, recycle_gb=2), ray and submitit_slurm (docs/cluster.md).\n"
        "Hydra's own options: --hydra-help"
    )


def unknown_key(key: str, received: str) -> str:
    known = [leaf.key for leaf in settings(Config())] + list(GROUPS)
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    remedy = f"Did you mean {nearest[0]}?" if nearest else "`python -m src.train --help` lists the keys."
    return (
        f"{key} is not a key of the configuration. Expected one of the keys of --help. Received: {received}. {remedy}"
    )


def explain(error: Exception, overrides: list[str]) -> str:
    """The message for a refusal by Hydra, in the form of `refusal`; Hydra's own text where it is of no known kind."""
    text = f"{error}"
    if match := re.search(r"Could not override '([^']+)'|Key '([^']+)' (?:is )?not in", text):
        key = match[1] or match[2]
        return unknown_key(key, next((item for item in overrides if item.lstrip("+~").startswith(key)), key))
    if match := re.search(r"Error merging override (\S+?)=(.*)", text):
        return wrong_type(match[1], match[2])
    if match := re.search(r"(?:Could not find|In '[^']*': Could not find) '([^']+)/([^'/]+)'", text):
        options = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        return (
            f"{match[1]} has no option {match[2]}. Expected one of {', '.join(options)}. "
            f"Received: {match[1]}={match[2]}. See {'sweeps' if match[1] == 'sweep' else f'conf/{match[1]}'}/."
        )
    if "Unknown plugin class" in text:
        return (
            "This launcher is not installed. Expected the packages of the extra `cluster`. Received: "
            f"{text.rsplit(' ', 1)[-1]}. Install them, `pip install --require-hashes -r requirements-cluster.lock`, "
            "or use hydra/launcher=pool. See docs/cluster.md."
        )
    if match := re.search(r"Error parsing override '([^']*)'", text):
        return f"{match[1]} is not an override. Expected key=value. Received: {match[1]}. See --help."
    return text.strip()


def wrong_type(key: str, received: str) -> str:
    """The message for a value of another type than its key's."""
    leaf = next((leaf for leaf in settings(Config()) if leaf.key == key.lstrip("+")), None)
    if leaf is None:
        return unknown_key(key, f"{key}={received}")
    if leaf.domain:
        return refusal(key, leaf.domain.expected, received, leaf.domain.remedy)
    return refusal(key, f"of type {type(leaf.value).__name__}", received, f"The default is {leaf.key}={leaf.value}.")
