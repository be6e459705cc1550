"""Pages in a real browser: the machine's own Chromium, without a window, moved by Playwright."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.cluster import LOOPBACK
from tests.commands import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LACKING = [] if importlib.util.find_spec("playwright") else ["playwright"]
LACKING += [] if PROGRAM else ["chromium"]
NO_BROWSER = f"CONTRIBUTING.md says how to get {', '.join(LACKING)}" if LACKING else ""

# For what a page does by itself. No test is about speed.
PATIENCE = 120
HEIGHT = 1000
# Nothing that a page asks of another machine gets there.
ARGUMENTS = ["--disable-gpu", "--no-proxy-server", f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {LOOPBACK}"]

# The outermost elements that end right of the window and cannot be scrolled to inside the page. What is inside a
# picture counts with its picture. A fraction of a pixel is rounding.
CUT_OFF = """() => {
    const width = document.documentElement.clientWidth;
    const scrolls = element => element && element !== document.body && element !== document.documentElement
        && (/auto|scroll/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    const beyond = element => {
        const box = element.getBoundingClientRect();
        return box.width > 0 && box.right > width + 1;
    };
    const found = [...document.body.querySelectorAll("*:not(svg *)")].filter(element =>
        element.checkVisibility({visibilityProperty: true}) && beyond(element) && !scrolls(element.parentElement));
    const named = found.filter(element => !found.includes(element.parentElement)).map(element => {
        const name = element.cloneNode(false).outerHTML.split(">")[0];
        const text = (element.textContent ?? "").trim().replace(/\\s+/g, " ").slice(0, 60);
        return `${name}> "${text}" ends at ${Math.round(element.getBoundingClientRect().right)} of ${width}`;
    });
    const whole = document.documentElement.scrollWidth;
    return whole > width ? [`the page is ${whole} wide in a window of ${width}`, ...named] : named;
}"""


@dataclass
class Visit:
    """A page, and what it has said and asked for since it was opened."""

    page: "Page"
    console_errors: list[str] = field(default_factory=list)
    page_errors: list[str] = field(default_factory=list)
    # Addresses, in order. Data that the page carries inside itself is no request.
    requests: list[str] = field(default_factory=list)

    def asked(self, request: "Request") -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.requests.append(request.url)

    def elsewhere(self) -> list[str]:
        """The requests that were not for a server on this machine."""
        return [address for address in self.requests if urlsplit(address).hostname != LOOPBACK]


@contextmanager
def started() -> "Iterator[Browser]":
    """A browser of its own, without a profile, ended with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS, timeout=PATIENCE * 1000)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: "Browser", width: int, javascript: bool = True) -> Iterator[Visit]:
    """An empty page in a window of this width (pixels), of a visitor who was never here."""
    window = {"width": width, "height": HEIGHT}
    context = browser.new_context(viewport=window, java_script_enabled=javascript)
    context.set_default_timeout(PATIENCE * 1000)
    visited = Visit(context.new_page())
    context.on("console", lambda said: visited.console_errors.append(said.text) if said.type == "error" else None)
    context.on("weberror", lambda raised: visited.page_errors.append(str(raised.error)))
    context.on("request", visited.asked)
    try:
        yield visited
    finally:
        context.close()


@contextmanager
def opened(browser: "Browser", path: Path, width: int, javascript: bool = True) -> Iterator[Visit]:
    """A file of this machine. `requests` holds what it asks for beyond itself."""
    with visit(browser, width, javascript) as visited:
        address = path.resolve().as_uri()
        visited.page.goto(address)
        assert visited.requests.pop(0) == address
        yield visited


def becomes(read: Callable[[], object], expected: object) -> None:
    """Wait until what is read is what is expected."""
    with suppress(AssertionError):
        wait_until(lambda: read() == expected, seconds=PATIENCE)
    found = read()
    assert found == expected, f"expected {expected!r}, found {found!r}"


def cut_off(page: "Page") -> list[str]:
    """What a reader cannot see in a window of this width without scrolling the whole page sideways."""
    return page.evaluate(CUT_OFF)


def pdf(page: "Page") -> bytes:
    """The page as printed on A4, with the paper's own margins, and without backgrounds, as printers do by default."""
    return page.pdf(format="A4", prefer_css_page_size=True)
