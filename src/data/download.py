"""Fetching the files of a published data set, once, into a folder that outlives the checkout.

A file gets its name only when it is complete and its checksum right. What a killed download leaves, part-NAME, is
never read, and the next one overwrites it.
"""

import logging
import shutil
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from filelock import FileLock
from tqdm import tqdm

from src.data import idx
from src.data.idx import FILES, DataError

log = logging.getLogger(__name__)
TIMEOUT = 30  # seconds without a byte


def fetch(address: str, folder: Path, checksums: Mapping[str, str]) -> None:
    """Download, as .gz, the files that a folder lacks. Processes that want the same take turns.

    Args:
        address: where the files are published, with a slash at its end.
        folder: made where it does not exist.
        checksums: SHA-256 of each part's unpacked file.
    Raises:
        DataError: no connection, no such file, a damaged one, or a folder that cannot be written. Files that
            were complete before are kept.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for part, checksum in checksums.items():
                if idx.locate(folder, part) is None:
                    log.info("downloading %s.gz to %s", FILES[part], folder)
                    fetch_file(f"{address}{FILES[part]}.gz", folder / f"{FILES[part]}.gz", checksum)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{address} cannot be downloaded to {folder}. Expected a connection and a folder that can be written. "
            f"Received: {error}."
        ) from error


def fetch_file(url: str, path: Path, checksum: str) -> None:
    """One file, under its name only if it is what it should be. Raises DataError where not, OSError as it comes."""
    partial = path.with_name("part-" + path.name)
    try:
        with urlopen(url, timeout=TIMEOUT) as response, partial.open("wb") as out:
            size = int(response.headers.get("Content-Length", 0)) or None
            with tqdm.wrapattr(response, "read", size, desc=path.name, disable=None) as stream:
                shutil.copyfileobj(stream, out)
        received = checksum_of(partial)
        if received != checksum:
            raise DataError(f"{url} is damaged. Expected SHA-256 {checksum} unpacked. Received: {received}.")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def checksum_of(path: Path) -> str:
    """The SHA-256 of an unpacked file; what is wrong with it where it cannot be unpacked."""
    try:
        return idx.checksum(path)
    except DataError as error:
        return f"a file that cannot be unpacked ({error.__cause__})"
