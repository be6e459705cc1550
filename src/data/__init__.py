"""Data sets as arrays: found, verified, cut to size, binarised."""

from src.data.arrays import TEST, TRAIN, kept, pixel_flaw
from src.data.checks import LEAST_PROBED, refusals
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
