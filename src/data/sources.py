"""The table of data sources. A new one is an entry here, a name in `src.config` and a file in conf/data."""

from pathlib import Path

from platformdirs import user_cache_path

from src import ROOT
from src.data.arrays import LABELS, TEST, TRAIN
from src.data.files import Published, Stored
from src.data.idx import FILES, IDX
from src.data.npz import NPZ
from src.data.synthetic import LinearGaussian

CACHE = user_cache_path("vae-mc-samples", appauthor=False)
SHAPES = {TRAIN: (60_000, 28, 28), TEST: (10_000, 28, 28), LABELS: (10_000,)}
MNIST = {
    TRAIN: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TEST: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
FASHION_MNIST = {  # of Debian's package
    TRAIN: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    TEST: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
MD5 = {  # of the publisher's README
    TRAIN: "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    TEST: "bef4ecab320f06d8554ea6380940ec79",
    LABELS: "bb300cfdad3c16e7a12a480ee83cd310",
}

Source = Stored | LinearGaussian
SOURCES: dict[str, Source] = {
    "mnist": Stored(
        IDX,
        "Restore it with `git checkout -- data/mnist`, or set data.path to a folder with the files.",
        (ROOT / "data" / "mnist",),
        {part: Published(SHAPES[part], sha256) for part, sha256 in MNIST.items()},
    ),
    "fashion_mnist": Stored(
        IDX,
        "Three remedies: `apt install dataset-fashion-mnist`; or data.path=FOLDER with the files, plain or as .gz or "
        f".xz; or one run online, with no damaged file in {CACHE / 'fashion_mnist'}.",
        (CACHE / "fashion_mnist", Path("/usr/share/datasets/fashion-mnist")),
        {
            part: Published(SHAPES[part], sha256, f"{ADDRESS}{FILES[part]}.gz", MD5[part])
            for part, sha256 in FASHION_MNIST.items()
        },
    ),
    "idx": Stored(IDX, "Set data.path to such a folder (the labels may be left out)."),
    "npz": Stored(NPZ, "Save one with numpy.savez(FILE, x_train=..., x_test=...), and y_test=... to colour a picture."),
    "linear_gaussian": LinearGaussian(),
}
