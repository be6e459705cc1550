"""Data sets as arrays: found, verified, cut to size, binarised."""

from src.data.checks import refusals
from src.data.dataset import (
    Dataset,
    available,
    binarize,
    bytes_per_value,
    digest,
    ensure,
    identity,
    load,
    read,
    scaled,
    shape,
    take,
)
from src.data.idx import DataError
