"""The eyes of these tests see what is wrong with a page that has every fault, and nothing in one without."""

import pytest

from tests.browser.pages import becomes, cut_off, pdf

GOOD = """<!doctype html><body style="margin: 0"><script>document.title = "run"</script>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><svg width=9 height=9><rect width=4000 height=9 /></svg>
<div style="overflow-x: auto"><table style="width: 2000px"><tr><td>scrolls</table></div>
<details><summary>more</summary><div style="width: 2000px">folded</div></details>
<p style="width: 2000px; display: none">hidden</p>"""
WIDE = """<main style="overflow: hidden"><p style="width: 2000px" id="clipped"><b>clipped</b></main>"""
BAD = """<div style="width: 3000px">wide</div><script>
console.error("said"); console.log("told"); setTimeout(() => { throw new Error("raised") })</script>
<img src="beside.png"><img src="http://elsewhere.example/far.png">"""


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")

    def write(text):
        path = folder / f"{len(list(folder.iterdir()))}.html"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("javascript", [True, False])
def test_nothing_is_wrong_with_a_good_page(opened, write, javascript):
    with opened(write(GOOD), 360, javascript) as found:
        assert found.page.title() == ("run" if javascript else "")
        assert (found.console_errors, found.page_errors, found.requests) == ([], [], [])
        assert cut_off(found.page) == []
        assert pdf(found.page).startswith(b"%PDF-")


def test_what_is_wider_than_the_window_is_cut_off(opened, write):
    with opened(write(GOOD + WIDE), 360) as found:
        (clipped,) = cut_off(found.page)
        assert clipped == '<p style="width: 2000px" id="clipped"> "clipped" ends at 2000 of 360'
    with opened(write(GOOD + BAD), 360) as found:
        assert cut_off(found.page)[0] == "the page is 3000 wide in a window of 360"
        assert 'style="width: 3000px"> "wide" ends at 3000' in cut_off(found.page)[1]
    with opened(write(GOOD + BAD), 3000) as found:
        assert cut_off(found.page) == []


def test_errors_and_requests_are_recorded(opened, write):
    path = write(GOOD + BAD)
    with opened(path, 360) as found:
        becomes(lambda: (found.page.title(), found.page_errors), ("run", ["raised"]))
        assert [text for text in found.console_errors if "ERR_" not in text] == ["said"]
        assert found.requests == [path.with_name("beside.png").as_uri(), "http://elsewhere.example/far.png"]
