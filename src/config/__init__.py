"""What can be set, what it admits, which settings exclude each other, and how durations are written."""

from src.config.contradictions import contradictions
from src.config.durations import clock, duration, is_duration
from src.config.settings import (
    Config,
    ConfigError,
    DataConfig,
    Domain,
    EvaluationConfig,
    ModelConfig,
    StudyConfig,
    TrackingConfig,
    flatten,
    problems,
    refusal,
    settings,
    title,
)

__all__ = [
    "Config",
    "ConfigError",
    "DataConfig",
    "Domain",
    "EvaluationConfig",
    "ModelConfig",
    "StudyConfig",
    "TrackingConfig",
    "clock",
    "contradictions",
    "duration",
    "flatten",
    "is_duration",
    "problems",
    "refusal",
    "settings",
    "title",
]
