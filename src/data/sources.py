"""The table of data sources. A new one is an entry here, a name in `src.config` and a file in conf/data."""

from pathlib import Path

from platformdirs import user_cache_path

from src import ROOT
from src.data.files import Files
from src.data.idx import FILES
from src.data.npz import Npz
from src.data.synthetic import LinearGaussian

CACHE = user_cache_path("vae-mc-samples", appauthor=False)

Source = Files | Npz | LinearGaussian
SOURCES: dict[str, Source] = {
    "mnist": Files(
        folders=(ROOT / "data" / "mnist",),
        checksums={
            "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        remedy="Restore it with `git checkout -- data/mnist`, or set data.path to a folder with the files.",
    ),
    # The checksums are those of Debian's package, whose files are the published ones: with the name and time stamp
    # that Debian strips from their gzip headers put back, they have the MD5 sums of the publisher's README.
    "fashion_mnist": Files(
        folders=(CACHE / "fashion_mnist", Path("/usr/share/datasets/fashion-mnist")),
        checksums={
            "train_images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "test_images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "test_labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        remedy=(
            "Three remedies: `apt install dataset-fashion-mnist`; or data.path=FOLDER with the files, plain or as "
            f".gz or .xz; or one run online, with no damaged file in {CACHE / 'fashion_mnist'}."
        ),
        address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        shapes={"train_images": (60_000, 28, 28), "test_images": (10_000, 28, 28), "test_labels": (10_000,)},
    ),
    "idx": Files(remedy=f"Set data.path to a folder with {', '.join(FILES.values())} (the last may be left out)."),
    "npz": Npz(),
    "linear_gaussian": LinearGaussian(),
}
