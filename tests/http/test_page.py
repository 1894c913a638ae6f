"""The page in a real Chromium: phone and desktop, light and dark."""

import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.http.browser import SCREENSHOTS, Scheme, barriers, chromium, show
from tests.http.certificates import AUTHORITY, Secret, connect
from tests.http.page_requests import EVERYTHING, EVIL, HOSTILE, LARGE, ORDER, POD
from tests.http.process import Echo, read_answer, running

HEIGHT = 800  # pixels


class Answer(NamedTuple):
    """A page as it was received from the echo."""

    fields: dict[str, str]
    html: bytes


def asked(echo: Echo, request: bytes, **tls: object) -> Answer:
    """Send a request byte for byte, and return its page."""
    with connect(echo, **tls) if tls else echo.connect() as sock:
        sock.sendall(request)
        answer, html = read_answer(sock)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8", html[:500]
    return Answer(dict(answer.headers), html)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, echo: Echo) -> dict[str, Answer]:
    """Return pages by name; the one with everything comes through two proxies, over TLS, from a pod."""
    folder = tmp_path_factory.mktemp("page")
    AUTHORITY.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "secret").mkdir()
    trusted = {"tls_client_ca": folder / "ca.pem", "trusted_proxies": "127.0.0.0/8,10.0.0.0/8"}
    me = AUTHORITY.issue_cert("alice@example.org", common_name="Alice")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in POD.items():
            patch.setenv(name, value)
        with running(**Secret(folder / "secret").settings, **trusted) as in_pod:
            everything = asked(in_pod, EVERYTHING, certificate=me)
    return {"everything": everything, "large": asked(echo, LARGE), "hostile": asked(echo, HOSTILE)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield the shared browser of these tests."""
    with chromium() as browser:
        yield browser


@contextmanager
def shown(browser: Browser, answer: Answer, *, width: int = 1280, scheme: Scheme = "light") -> Iterator[Page]:
    """Show a page; fails on console messages, in particular on violations of the policy."""
    screen: ViewportSize = {"width": width, "height": HEIGHT}
    page = browser.new_page(viewport=screen, color_scheme=scheme, reduced_motion="reduce")
    try:
        said = show(page, "https://echo.test/", answer.html, answer.fields)
        yield page
        assert said == []
    finally:
        page.close()


def test_a_browser_gets_the_page(browser: Browser, echo: Echo) -> None:
    """A browser gets the page by its own Accept header; the bold line is the first of its text."""
    page = browser.new_page()
    answer = page.goto(f"http://127.0.0.1:{echo.port}/blah/blah?a=<b>")
    assert answer is not None
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert page.inner_text("body").startswith("Got: blah/blah!\n")
    assert page.inner_text("b") == "Got: blah/blah"
    assert page.title().startswith("GET /blah/blah?a=%3Cb%3E ")
    page.click("footer >> text=JSON")
    assert page.url.endswith("/blah/blah?a=%3Cb%3E&echo_format=json")
    page.close()


IN_THE_README = ("everything", 1280, "light")
# Widths of a small phone and a desktop in pixels, each with both colour schemes, and both pages with each of both.
LOOKS = [IN_THE_README, ("everything", 360, "dark"), ("large", 360, "light"), ("large", 1280, "dark")]


@pytest.mark.parametrize(("name", "width", "scheme"), LOOKS)
def test_nothing_keeps_anybody_from_the_page(
    browser: Browser, answers: dict[str, Answer], name: str, width: int, scheme: Scheme
) -> None:
    """On both screens, axe-core finds no problem, the page is not wider than the screen, and its style is applied."""
    with shown(browser, answers[name], width=width, scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(16, 19, 25)"
        assert dark == (scheme == "dark")
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=name != "large")
        if (name, width, scheme) == IN_THE_README:
            page.screenshot(path=SCREENSHOTS / "page.png")
        assert barriers(page) == []


def test_what_somebody_sends_is_never_run(browser: Browser, answers: dict[str, Answer]) -> None:
    """Scripts in every place of a request are shown as text, and never run."""
    with shown(browser, answers["hostile"]) as page:
        assert page.evaluate("[typeof pwned, document.scripts.length, document.images.length]") == ["undefined", 0, 0]
        assert page.evaluate("document.querySelectorAll('[onclick], [onload], svg').length") == 0
        assert page.inner_text("b") == "Got: " + EVIL.decode()
        for section in ("request", "fields", "query", "cookies", "body", "client", "applied", "curl"):
            assert "</style></title><script>pwned" in page.inner_text(f"#{section}")
        # An invalid traceparent is not quoted, and a valid one has only hexadecimal digits.
        assert "pwned" not in page.inner_text("#trace")


def test_the_policy_would_stop_what_got_through(browser: Browser, answers: dict[str, Answer]) -> None:
    """Markup injected into the page has no effect: the policy blocks its scripts, styles and images."""
    fields, html = answers["everything"]
    evil = b"<script>pwned=1</script><style>b{color:red}</style><i style=color:red onclick=a></i><img src=//a.test/>"
    page = browser.new_page()
    said = show(page, "https://echo.test/", html.replace(b"</main>", evil + b"</main>"), fields)
    assert all("Content Security Policy" in line for line in said)
    for refused in ("inline script", "inline style", "inline event handler", "the image"):
        assert any(refused in line for line in said), said
    assert page.evaluate("typeof pwned") == "undefined"
    assert page.evaluate("[...document.querySelectorAll('b, i')].map(e => getComputedStyle(e).color)") == [
        "rgb(22, 25, 31)",
        "rgb(22, 25, 31)",
    ]
    page.close()


def test_the_browser_asks_for_nothing_else(browser: Browser, answers: dict[str, Answer]) -> None:
    """The browser requests nothing else, not even an icon, so that an echo counts only the users' own requests."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            for name in ("Content-Type", "Content-Security-Policy", "Content-Length"):
                self.send_header(name, answers["everything"].fields[name])
            self.end_headers()
            self.wfile.write(answers["everything"].html)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/a")
        page.goto(f"http://127.0.0.1:{server.server_port}/b", wait_until="networkidle")
        page.close()
        server.shutdown()
    assert paths == ["/a", "/b"]


def test_rows_are_copied_as_names_and_values(browser: Browser, answers: dict[str, Answer]) -> None:
    """Copied rows have a tab between name and value, as spreadsheets expect, and no row numbers."""
    with shown(browser, answers["everything"]) as page:
        selected = page.evaluate(
            "getSelection().selectAllChildren(document.querySelector('#fields tbody')), String(getSelection())"
        )
    lines = selected.strip().split("\n")
    assert "Host\tshop.example.org" in lines
    assert lines[-2:] == ["X-Twice\t1", "X-Twice\t2"]


def test_one_click_selects_the_command(browser: Browser, answers: dict[str, Answer]) -> None:
    """One click selects the whole command, line by line, as it is to be run."""
    with shown(browser, answers["everything"], width=360) as page:
        page.click("#curl pre")
        selected = page.evaluate("String(getSelection())")
        assert selected == page.evaluate("document.querySelector('#curl pre').textContent")
    assert selected.startswith("curl 'https://shop.example.org/orders/42?expand=items")
    assert selected.endswith(f"--data-raw {shlex.quote(ORDER.decode())}")


def test_the_keyboard_reaches_links_and_texts(browser: Browser, answers: dict[str, Answer]) -> None:
    """The Tab key reaches links and texts in page order, each with an outline; a link leads to its section."""
    with shown(browser, answers["everything"]) as page:
        reached = []
        for _ in range(100):
            page.keyboard.press("Tab")
            name, outline = page.evaluate(
                "(e => [e.getAttribute('href') || e.getAttribute('aria-label'), getComputedStyle(e).outlineWidth])"
                "(document.activeElement)"
            )
            if name is None:
                break
            assert outline == "3px"
            reached.append(name)
        sections = [f"#{part}" for part in page.eval_on_selector_all("main section", "all => all.map(s => s.id)")]
        texts = page.eval_on_selector_all("pre", "all => all.map(pre => pre.getAttribute('aria-label'))")
        assert reached == sections + texts
        page.click("nav >> text=Pod")
        assert re.search(r"#pod$", page.url)
        assert page.evaluate("document.querySelector(':target').getBoundingClientRect().top < innerHeight")


def test_paper_shows_all_of_a_text(browser: Browser, answers: dict[str, Answer]) -> None:
    """Printed texts are complete, although they scroll on a screen, and the page's navigation links are omitted."""
    with shown(browser, answers["large"]) as page:
        cut = "[...document.querySelectorAll('pre, .long')].filter(e => e.scrollHeight > e.clientHeight + 1).length"
        assert page.evaluate(cut) > 0
        page.emulate_media(media="print")
        assert page.evaluate(cut) == 0
        assert not page.is_visible("nav")
        assert page.pdf().startswith(b"%PDF")


def test_the_readme_shows_a_page() -> None:
    """The README's screenshot is a small PNG, a copy of `.page/page.png`."""
    picture = Path(__file__).parent / "screenshots" / "page.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 150_000
