"""What is wrong between a configuration and its data, found from names and file headers alone: fast, no download."""

from src.config import Config, DataConfig, refusal, settings
from src.data.dataset import IDX_REMEDY, MADE, available, has_labels, shape
from src.data.idx import DataError


def problems(config: Config) -> list[str]:
    """Every reason why a configuration cannot be run on its data; empty where there is none."""
    if found := kind_problems(config.data):
        return found
    try:
        return file_problems(config.data) or size_problems(config)
    except DataError as error:
        return [str(error)]


def kind_problems(data: DataConfig) -> list[str]:
    """Settings that do not fit this kind of data."""
    found = []
    if data.name == MADE and data.pixels != "real":
        found.append(
            f"data.pixels must be real with data.name={MADE}, whose values are no intensities. "
            f"Received: data.pixels={data.pixels}. Leave it out with data={MADE}."
        )
    if data.name != MADE and data.pixels == "real":
        found.append(
            f"data.pixels must be one of grayscale, dynamic, static with data.name={data.name}, which holds "
            f"images. Received: data.pixels=real. Use data={MADE} for real values."
        )
    if data.name == "idx" and data.path is None:
        found.append(
            f"data.path must be a folder of IDX files with data.name=idx. Received: data.path=null. {IDX_REMEDY}"
        )
    if data.name == MADE and data.path is not None:
        found.append(
            f"data.path must be null with data.name={MADE}, which is made and not read. "
            f"Received: data.path={data.path}. Leave it out."
        )
    return found


def file_problems(data: DataConfig) -> list[str]:
    """Files that do not belong together. Raises DataError where one is missing or of another kind."""
    train, test = shape(data, "train_images"), shape(data, "test_images")
    found = []
    if train[1:] != test[1:]:
        found.append(
            f"test images must have the shape of the training images, {list(train[1:])}. "
            f"Received: {list(test[1:])} with data.path={data.path}. {IDX_REMEDY}"
        )
    if has_labels(data) and (labels := shape(data, "test_labels")[0]) != test[0]:
        found.append(
            f"test labels must be as many as the test images, {test[0]}. "
            f"Received: {labels} with data.path={data.path}. {IDX_REMEDY}"
        )
    return found


def size_problems(config: Config) -> list[str]:
    """Sizes beyond what the data set holds."""
    data = config.data
    train, test = available(data, "train_images"), available(data, "test_images")
    domains = {leaf.key: leaf.domain for leaf in settings(config)}
    found = []
    for key, size, limit in (("train_size", data.train_size, train), ("test_size", data.test_size, test)):
        domain = domains[f"data.{key}"]
        if size is not None and size > limit and domain is not None:
            found.append(refusal(f"data.{key}", f"a positive integer of at most {limit}", size, domain.remedy))
    images = min(data.train_size or train, train)
    if config.batch_size > images:
        found.append(
            f"batch_size must be at most the number of training images, {images}. "
            f"Received: batch_size={config.batch_size}. Lower batch_size or raise data.train_size."
        )
    return found
