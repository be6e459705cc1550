"""The configuration: settings, the values they admit, refusals and durations. Imports no TensorFlow."""

from src.config.contradictions import contradictions
from src.config.durations import duration, is_duration
from src.config.factories import source_digest
from src.config.listing import entries, fingerprinted, flatten, identifying, machinery_keys, refusals
from src.config.settings import (
    Config,
    DataConfig,
    EvaluationConfig,
    ForkConfig,
    ModelConfig,
    ProbeConfig,
    StudyConfig,
    TrackingConfig,
    by_quadrature,
    nll_kind,
    title,
)
from src.refusal import ConfigError, Domain, refusal
