"""What is wrong between a configuration and its data, from names and file headers alone: fast, without a download."""

from src.config import Config, DataConfig, flatten, refusal
from src.data.dataset import available, source
from src.data.idx import DataError
from src.data.sources import SOURCES


def refusals(config: Config) -> list[str]:
    """Every reason why a configuration cannot be run on its data; empty where there is none."""
    found = pixel_refusals(config.data)
    try:
        with source(config.data) as bound:
            found += bound.problems(config.data.path)
        return found or size_refusals(config)
    except DataError as error:
        return [*found, str(error)]


def pixel_refusals(data: DataConfig) -> list[str]:
    """A reading of pixels that does not fit the source."""
    fitting = SOURCES[data.name].pixels
    others = " or ".join(f"data={name}" for name, source in SOURCES.items() if data.pixels in source.pixels)
    expected = f"{' or '.join(fitting)} with data.name={data.name}"
    remedy = f"Set data.pixels={fitting[0]}, or use {others}."
    return [] if data.pixels in fitting else [refusal("data.pixels", expected, data.pixels, remedy)]


def size_refusals(config: Config) -> list[str]:
    """Sizes beyond what the data set holds."""
    train, test = (available(config.data, part) for part in ("train_images", "test_images"))
    images, scored = min(config.data.train_size or train, train), min(config.data.test_size or test, test)
    spare, values = max(0, images - config.batch_size), flatten(config)
    limits = (
        ("data.train_size", "training images", train, "null takes every image."),
        ("data.test_size", "test images", test, "null takes every image."),
        ("batch_size", "training images", images, "Lower batch_size or raise data.train_size."),
        ("fork.batch_size", "training images", images, "Lower fork.batch_size or raise data.train_size."),
        ("data.validation_size", "training images beyond one batch", spare, "Lower it or raise data.train_size."),
        ("evaluation.final_images", "test images", scored, "null takes every image."),
    )
    return [
        refusal(key, f"at most the number of {part}, {limit}", values[key], remedy)
        for key, part, limit, remedy in limits
        if (values[key] or 0) > limit
    ]
