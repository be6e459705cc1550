"""Downloads the files of a published data set.

A file is renamed to its own name once its checksum is right. What a killed download leaves, part-NAME, is never read,
and the next download overwrites it.
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
    """Download, as .gz, the files that a folder lacks. A lock file makes concurrent processes take turns.

    Args:
        address: where the files are published, with a slash at its end.
        folder: where they go; created if it does not exist.
        checksums: SHA-256 of each part's unpacked file.
    Raises:
        DataError: no connection, no such file, a damaged file, or a folder that cannot be written. Files that
            were complete before are kept.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for part, checksum in checksums.items():
                if idx.locate(part, folder) is None:
                    log.info("downloading %s.gz to %s", FILES[part], folder)
                    fetch_file(f"{address}{FILES[part]}.gz", folder / f"{FILES[part]}.gz", checksum)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{address} cannot be downloaded to {folder}. Expected a connection and a folder that can be written. "
            f"Received: {error}."
        ) from error


def fetch_file(url: str, path: Path, checksum: str) -> None:
    """Download one file. Raises DataError where its checksum is wrong, OSError where it cannot be fetched."""
    partial = path.with_name("part-" + path.name)
    try:
        with urlopen(url, timeout=TIMEOUT) as response, partial.open("wb") as out:
            size = int(response.headers.get("Content-Length", 0)) or None
            with tqdm.wrapattr(response, "read", size, desc=path.name, disable=None) as stream:
                shutil.copyfileobj(stream, out)
        try:
            received = idx.checksum(idx.File.at(partial))
        except DataError as error:
            received = f"a file that cannot be unpacked ({error.__cause__})"
        if received != checksum:
            raise DataError(f"{url} is damaged. Expected SHA-256 {checksum} unpacked. Received: {received}.")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
