"""What is fixed before the first run: what is compared, the margin, the looks, the error level."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any

from src import schema
from src.inference.calibrate import critical_values, t_sequence
from src.refusal import ConfigError, Domain, at_least, is_count, is_number, or_null, positive

# The settings of a study that its design fixes.
STUDY_KEYS = {
    "margin": "study.margin", "metric": "study.metric", "n_max": "study.seeds", "factor": "study.factor",
    "covarying": "study.covarying", "reference": "study.reference", "tune": "study.tune",
}  # fmt: skip
# Of the parameters of a study's run that record its design.
PREFIX = "design."
# What the fields of a design may be; n_max is at least n0.
DOMAINS = {
    "margin": positive("Use 0.5 nats/image."),
    "metric": Domain("a name", lambda name: isinstance(name, str) and name != "", "Use 'final/test_nll'."),
    "n0": at_least(2, "Use 4."),
    "alpha": Domain("between 0 and 0.5", lambda alpha: is_number(alpha) and 0 < alpha < 0.5, "Use 0.05."),
    "comparisons": at_least(1, "Count the pairs of cells that are judged."),
}


@dataclass(frozen=True)
class Design:
    """The plan of a study of one metric, of which less is better. JSON: dataclasses.asdict(design), Design(**data).

    factor: the setting whose values are compared; covarying: those that may vary with it.
    reference: the value that the others are compared with; max, min: the largest, the smallest of those there are.
    tune: a setting that is chosen for every value of the factor by the validation NLL; None for none.
    margin: delta, the difference that does not matter, in the metric's unit.
    n_max: pairs at the last look, not to be raised afterwards. None: no last look, with wider intervals.
    n0: pairs at the first look; below 4, skewed differences mislead.
    alpha: chance of a false equivalence, and of a false `not worse`; a false direction has alpha / 2 a side.
    comparisons: m, the pairs of cells that are judged together, each at alpha / m.
    """

    margin: float
    metric: str
    n_max: int | None = 10
    n0: int = 4
    alpha: float = 0.05
    comparisons: int = 1
    factor: str = "mc_samples"
    covarying: tuple[str, ...] = ()
    reference: str = "max"
    tune: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "covarying", tuple(self.covarying))  # JSON makes it a list
        least = self.n0 if is_count(self.n0, 2) else 2
        domains = DOMAINS | {"n_max": or_null(at_least(least, "Use 10, or null for no last look."))}
        wrong = [line for key, domain in domains.items() for line in domain.refusals(key, getattr(self, key))]
        if wrong:
            raise ConfigError("\n".join(wrong))

    @classmethod
    def asked(cls, settings: Mapping[str, Any], given: Mapping[str, Any] = MappingProxyType({})) -> "Design":
        """The design that settings ask for: of study.seeds at most where a study decides by itself, else of any number
        of seeds.

        Args:
            settings: design.* as a study's run records them, else study.*, by key, without those that are null. What is
                missing has its default, but no last look. A list may be one text with commas.
            given: fields that are set in their place.
        """
        recorded = {each.name: f"{PREFIX}{each.name}" for each in fields(cls)}
        found = {name: settings[key] for name, key in recorded.items() if key in settings}
        if not found:
            found = {name: settings[key] for name, key in STUDY_KEYS.items() if key in settings}
            if not settings.get("study.until"):
                found.pop("n_max", None)
        found = {"margin": schema.MARGIN, "metric": schema.FINAL_TEST_NLL.key, "n_max": None, **found, **given}
        if isinstance(found.get("covarying"), str):
            found["covarying"] = found["covarying"].split(",")
        return cls(**found)

    @property
    def level(self) -> float:
        """One-sided level of one comparison."""
        return self.alpha / self.comparisons

    @property
    def params(self) -> dict[str, Any]:
        """The design as parameters of a study's run, from which `asked` makes it again."""
        return {f"{PREFIX}{name}": value for name, value in asdict(self).items()}

    def bound(self, n: int, alpha: float) -> float:
        """Bound of T_n in a look at n pairs, valid at all looks at once; alpha one-sided, of one comparison.

        With n_max it is the exact bound of the repeated confidence interval. Without, it is that of the t-sequence at a
        two-sided 2 alpha, of which a side has alpha by symmetry. inf before the first look.

        Raises:
            ValueError: more pairs than n_max.
        """
        if n < self.n0:
            return math.inf
        if self.n_max is None:
            return t_sequence(n, 2 * alpha)
        if n > self.n_max:
            raise ValueError(
                f"A design of n_max={self.n_max} pairs has no interval after its last look. Received: {n=}. "
                f"Judge the first {self.n_max} seeds, or all with n_max=None, which is valid at any n."
            )
        return critical_values(self.n_max, alpha, self.n0)[n - self.n0]
