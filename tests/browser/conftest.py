"""One browser for the tests of a file."""

from functools import partial

import pytest

from tests.browser import pages


@pytest.fixture(scope="module")
def browser():
    if pages.NO_BROWSER:
        pytest.skip(pages.NO_BROWSER)
    with pages.started() as browser:
        yield browser


@pytest.fixture(scope="module")
def visit(browser):
    """visit(width, javascript=True): an empty page, see pages.visit."""
    return partial(pages.visit, browser)


@pytest.fixture(scope="module")
def opened(browser):
    """opened(path, width, javascript=True): a file in the browser, see pages.opened."""
    return partial(pages.opened, browser)
