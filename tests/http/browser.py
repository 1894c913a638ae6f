"""A real Chromium, with axe-core for accessibility checks."""

import base64
import hashlib
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from tests.http.process import DEADLINE
from tests.http.programs import missing, program
from tools.commands import ROOT, CommandError, run
from tools.toolchain.__main__ import BUILT

SCREENSHOTS = ROOT / ".page"
Scheme = Literal["light", "dark"]

_AXE = "4.14.1"
_AXE_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
# All axe-core levels below AAA, and its best practices, which belong to no level.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# axe-core reports content that is scrolled out of view as covered, with its contrast undecided; a short text has the
# same colours.
_FOUND = """async rules => {
  const {violations, incomplete, passes} = await axe.run(document, {runOnly: rules});
  const scrolledAway = ({any}) => any.length && any.every(({data}) => data?.messageKey === "elmPartiallyObscured");
  const undecided = incomplete.filter(({nodes}) => !nodes.every(scrolledAway));
  const told = ({id, help, nodes}) => `${id}: ${help}: ` + nodes.map(({html}) => html.slice(0, 200)).join(" | ");
  return [[...violations, ...undecided].map(told), passes.length];
}"""


@contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """Run Debian's Chromium headless, with additional arguments."""
    arguments = [*more, "--no-sandbox"] if os.geteuid() == 0 else [*more]  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program("chromium"), args=arguments, timeout=DEADLINE * 1000
        )
        try:
            yield browser
        finally:
            browser.close()


@cache
def _axe_core() -> str:
    """Return the axe-core script in the version of the tests, downloaded from npm and verified by its hash."""
    script = BUILT.parent / f"axe-{_AXE}.min.js"
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=script.parent) as folder:
            unpacked = Path(folder) / "axe.min.js"
            unpacked.write_bytes(_from_npm(folder))
            unpacked.replace(script)
    return script.read_text(encoding="utf-8")


def _from_npm(folder: str) -> bytes:
    try:
        run(program("npm"), "pack", f"axe-core@{_AXE}", "--silent", "--pack-destination", folder)
    except CommandError as error:
        missing(f"no axe-core: {error}")
    packed = Path(folder) / f"axe-core-{_AXE}.tgz"
    assert base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode() == _AXE_SHA512
    with tarfile.open(packed) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read()


def barriers(page: Page) -> list[str]:
    """Return the problems that axe-core finds in a page or cannot decide; check that it ran more than 20 rules."""
    page.evaluate(_axe_core())
    found: tuple[list[str], int] = page.evaluate(_FOUND, _RULES)
    assert found[1] > 20
    return found[0]


def show(page: Page, url: str, html: bytes, fields: dict[str, str]) -> list[str]:
    """Show a response received by another client as if the browser had loaded it; return the console messages."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.route(url, lambda route: route.fulfill(status=200, headers=fields, body=html))
    page.goto(url)
    return said
