"""Published data sets: where their files are looked for, what they must be, and what to do where they are not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from src import ROOT

CACHE = user_cache_path("vae-mc-samples", appauthor=False)
# Of MNIST and of every set that was made to take its place.
SHAPES: dict[str, tuple[int, ...]] = {
    "train_images": (60_000, 28, 28),
    "test_images": (10_000, 28, 28),
    "test_labels": (10_000,),
}


@dataclass(frozen=True)
class Published:
    """A data set that is published as IDX files.

    Attributes:
        folders: where its files are looked for, in order, unless data.path names a folder.
        checksums: SHA-256 of each part's unpacked file.
        remedy: what to do where a file is missing or damaged.
        address: where missing files come from, as .gz, into the first of `folders`; None where they do not.
    """

    folders: tuple[Path, ...]
    checksums: Mapping[str, str]
    remedy: str
    address: str | None = None


PUBLISHED = {
    "mnist": Published(
        folders=(ROOT / "data" / "mnist",),
        checksums={
            "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        remedy="Restore it with `git checkout -- data/mnist`, or set data.path to a folder with the four files.",
    ),
    # The checksums are those of Debian's package, whose files are the published ones: with the name and time stamp
    # that Debian strips from their gzip headers put back, they have the MD5 sums of the publisher's README.
    "fashion_mnist": Published(
        folders=(CACHE / "fashion_mnist", Path("/usr/share/datasets/fashion-mnist")),
        checksums={
            "train_images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "test_images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "test_labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        remedy=(
            "Three remedies: `apt install dataset-fashion-mnist`; or data.path=FOLDER with the four files, plain or as "
            f".gz or .xz; or one run online, with no damaged file in {CACHE / 'fashion_mnist'}."
        ),
        address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
}
