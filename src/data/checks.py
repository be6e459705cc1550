"""What is wrong between a configuration and its data, without a download: mostly from names and file headers alone."""

from src.config import Config, DataConfig, flatten, refusal
from src.data.arrays import TEST, TRAIN
from src.data.dataset import DataError, headers
from src.data.sources import SOURCES

LEAST_PROBED = 3  # images: without one of them there is still a variance


def refusals(config: Config) -> list[str]:
    """Every reason why a configuration cannot be run on its data; empty where there is none."""
    wrong = pixel_refusals(config.data)
    try:
        return wrong + size_refusals(config)
    except DataError as error:
        return [*wrong, str(error)]


def pixel_refusals(data: DataConfig) -> list[str]:
    """A reading of pixels that does not fit the source."""
    fitting = SOURCES[data.name].pixels
    if data.pixels in fitting:
        return []
    others = " or ".join(f"data={name}" for name, source in SOURCES.items() if data.pixels in source.pixels)
    expected = f"{' or '.join(fitting)} with data.name={data.name}"
    return [refusal("data.pixels", expected, data.pixels, f"Set data.pixels={fitting[0]}, or use {others}.")]


def size_refusals(config: Config) -> list[str]:
    """Sizes beyond what the data set holds. Raises DataError where the data cannot be used."""
    arrays, values = headers(config.data), flatten(config)
    train, test = arrays[TRAIN].shape[0], arrays[TEST].shape[0]
    images, scored = min(config.data.train_size or train, train), min(config.data.test_size or test, test)
    spare = max(0, images - config.batch_size)
    limits = (
        ("data.train_size", "training images", train, "null takes every image."),
        ("data.test_size", "test images", test, "null takes every image."),
        ("batch_size", "training images", images, "Lower batch_size or raise data.train_size."),
        ("fork.batch_size", "training images", images, "Lower fork.batch_size or raise data.train_size."),
        ("data.validation_size", "training images beyond one batch", spare, "Lower it or raise data.train_size."),
        ("evaluation.final_images", "test images", scored, "null takes every image."),
    )
    wrong = [
        refusal(key, f"at most the number of {part}, {limit}", values[key], remedy)
        for key, part, limit, remedy in limits
        if (values[key] or 0) > limit
    ]
    if config.probe.epochs and not wrong and images - config.data.validation_size < LEAST_PROBED:
        expected = f"so large that a probe has {LEAST_PROBED} images, beside those held out"
        wrong.append(refusal("data.train_size", expected, images, "Or set probe.epochs=[]."))
    return wrong
