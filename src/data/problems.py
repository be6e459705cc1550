"""What is wrong between a configuration and its data, from names and file headers alone: fast, without a download."""

from src.config import Config, DataConfig, refusal
from src.data.dataset import available, source
from src.data.idx import DataError
from src.data.sources import SOURCES


def problems(config: Config) -> list[str]:
    """Every reason why a configuration cannot be run on its data; empty where there is none."""
    data = config.data
    found = pixel_problems(data) + SOURCES[data.name].path_problems(data.path)
    try:
        return found or file_problems(data) or size_problems(config)
    except DataError as error:
        return [str(error)]


def pixel_problems(data: DataConfig) -> list[str]:
    """A reading of pixels that does not fit the source."""
    fitting = SOURCES[data.name].pixels
    if data.pixels in fitting:
        return []
    expected = f"one of {', '.join(fitting)}" if len(fitting) > 1 else fitting[0]
    others = " or ".join(f"data={name}" for name, source in SOURCES.items() if data.pixels in source.pixels)
    remedy = f"Set data.pixels={fitting[0]}, or use {others}."
    return [refusal("data.pixels", f"{expected} with data.name={data.name}", data.pixels, remedy)]


def file_problems(data: DataConfig) -> list[str]:
    """Parts that do not belong together. Raises DataError where a file is missing or of another kind."""
    wrong = []
    with source(data) as found:
        train, test = found.shape("train_images"), found.shape("test_images")
        if train[1:] != test[1:]:
            wrong.append(f"test images have the shape of its training images, {list(train[1:])}, not {list(test[1:])}")
        if found.has_labels() and (labels := found.shape("test_labels")[0]) != test[0]:
            wrong.append(f"test labels are as many as its test images, {test[0]}, not {labels}")
    return [refusal("data.path", f"a folder whose {expected}", data.path, found.remedy) for expected in wrong]


def size_problems(config: Config) -> list[str]:
    """Sizes beyond what the data set holds."""
    data, found = config.data, []
    for part, size in (("train", data.train_size), ("test", data.test_size)):
        limit = available(data, f"{part}_images")
        if size is not None and size > limit:
            expected = f"a positive integer of at most {limit}"
            found.append(refusal(f"data.{part}_size", expected, size, "null takes every image."))
    train = available(data, "train_images")
    images = min(data.train_size or train, train)
    if config.batch_size > images:
        expected = f"at most the number of training images, {images}"
        found.append(refusal("batch_size", expected, config.batch_size, "Lower batch_size or raise data.train_size."))
    return found
