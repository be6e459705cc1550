"""Data sets as arrays: found, verified, cut to size, binarised."""

from src.data.arrays import TEST, TRAIN
from src.data.checks import refusals
from src.data.dataset import (
    DataError,
    Dataset,
    arrays,
    binarize,
    digest,
    ensure,
    headers,
    identity,
    load,
    scaled,
    take,
)
