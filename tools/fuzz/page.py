"""Fuzz target: the HTML page.

Whatever a request contains, the page has only the template's own elements, and its command only quoted words.
"""

import re
from html.parser import HTMLParser
from typing import Final

import html5lib

from app.echo.context import Context
from app.echo.formats import renderers
from app.echo.formats.html.curl import curl_command
from app.http.request import decode_path
from tools.fuzz import contexts
from tools.fuzz.cutting import sampled

LONGEST: Final = 2048
WORDS: Final = contexts.WORDS
seeds = contexts.seeds
_HTML5LIB_ONE_OF: Final = 16  # inputs, because it takes a hundred times as long as all else
_ELEMENTS: Final = (
    "a b body caption col colgroup div figcaption figure footer h1 h2 head header html li main meta nav ol p pre"
    " section strong style table tbody td th thead title tr ul"
)
_ATTRIBUTES: Final = (
    "aria-label aria-labelledby charset class content data-column href id lang name role scope tabindex"
)
ELEMENTS: Final = frozenset(_ELEMENTS.split())
ATTRIBUTES: Final = frozenset(_ATTRIBUTES.split())
_ONCE: Final = ("b", "h1", "style", "title", "main", "body")
# A command in which Q stands for each quoted text: curl, its options, and base64 that the shell decodes.
_DECODED: Final = r"echo [A-Za-z0-9+/=]* \| base64 -d"
_WORD: Final = rf"""(?:[\w@%+=:,./-]+|Q|"\$\({_DECODED}\)")"""
_COMMAND: Final = re.compile(rf"(?:{_DECODED} \|\n)?curl {_WORD}(?: \\\n  --[a-z0-9.-]+(?: {_WORD})?)*", re.ASCII)


class _Tags(HTMLParser):
    """Collects what a parser of the standard library reads as markup."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.attributes: set[str] = set()
        self.others: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.others += [
            value or "" for name, value in attrs if name == "href" and not (value or "").startswith(("#", "?"))
        ]

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)


def check(data: bytes) -> None:
    """Write the page, the bare response and the command of what may be a request."""
    context = contexts.context_of(data)
    if context is None:
        return
    page, bare = renderers.render_html(context).body, renderers.render_bare(context).body
    assert isinstance(page, bytes)
    assert isinstance(bare, bytes)
    _check_bare(context, bare)
    tags = _Tags()
    tags.feed(page.decode())
    tags.close()
    assert {*tags.found} <= ELEMENTS
    assert tags.attributes <= ATTRIBUTES
    assert not tags.others
    assert [tags.found.count(tag) for tag in _ONCE] == [1] * len(_ONCE)
    assert len(page) < 60 * len(data) + 40_000
    command = curl_command(context).text
    skeleton = re.sub(r"""'[^']*'(?:"'"'[^']*')*""", "Q", command)
    assert _COMMAND.fullmatch(skeleton), skeleton
    if sampled(data, _HTML5LIB_ONE_OF):
        _check_by_html5lib(page)


def _check_bare(context: Context, bare: bytes) -> None:
    path = bare.removeprefix(b"<b>Got: ").removesuffix(b"</b>!")
    assert len(path) == len(bare) - 13
    assert not re.search(rb"[<>\"']|&(?!(?:amp|lt|gt|quot|#x27);)", path)
    named = ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&#x27;", b"'"), (b"&amp;", b"&"))
    for written, meant in named:
        path = path.replace(written, meant)
    assert path.decode() == decode_path(context.request.target).decode("utf-8", "replace")


def _check_by_html5lib(page: bytes) -> None:
    """Parse the page as the HTML standard does; parse errors raise."""
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page.decode())
    elements = list(tree.iter())
    assert {element.tag for element in elements} <= ELEMENTS
    assert {name for element in elements for name in element.attrib} <= ATTRIBUTES
