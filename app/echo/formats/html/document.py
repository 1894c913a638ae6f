"""Renderer of the page: template and style sheet, filled from a request."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes

from bottle import SimpleTemplate

from app import __version__
from app.echo.context import Context
from app.echo.formats.html.components import ellipsize
from app.echo.formats.html.escaping import escape_html
from app.echo.formats.html.hops import build_hop_diagram
from app.echo.formats.html.sections import build_sections
from app.echo.reflection.model import reflect
from app.http.request import HttpRequest, decode_path, split_target
from app.http.response import CSP

_FOLDER: Final = Path(__file__).parent
_STYLE: Final = (_FOLDER / "style.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode("ascii")
_TEMPLATE: Final = SimpleTemplate((_FOLDER / "page.html").read_text(encoding="utf-8"), escape_func=escape_html)
_MAX_TITLE: Final = 80  # characters
_LONG_PATH: Final = 120  # characters above which the heading is smaller, and scrolls

# The other formats that a browser can display, and the unescaped characters of a query (RFC 3986, 3.4).
_LINKED_FORMATS: Final = (("JSON", b"json"), ("YAML", b"yaml"), ("plain text", b"text"))
_FORMAT_PARAMETERS: Final = (b"echo_format=", b"echo-format=")
_QUERY_CHARACTERS: Final = "!$%&'()*+,-./:;=?@_~"

# The policy of every response, with this style sheet as the only exception.
PAGE_HEADERS: Final = (("Content-Security-Policy", f"{CSP}; style-src 'sha256-{_STYLE_HASH}'"),)


def render_page(context: Context) -> bytes:
    """Return the page about a request, as UTF-8; its body begins like the bare response."""
    reflection = reflect(context)
    sections = build_sections(reflection, context)
    path = decode_path(context.request.target).decode("utf-8", "replace")
    html: str = _TEMPLATE.render(
        forms=_format_links(context.request),
        absent=[section.title for section in sections if not section.blocks],
        journey=build_hop_diagram(reflection),
        long=len(path) > _LONG_PATH,
        path=path,
        sections=[section for section in sections if section.blocks],
        style=_STYLE,
        title=ellipsize(f"{reflection.method} {reflection.path}", _MAX_TITLE),
        version=__version__,
    )
    return html.encode()


def _format_links(request: HttpRequest) -> list[tuple[str, str]]:
    """Return links to the other formats of the response; none unless the method is GET, the only one a link sends."""
    if request.method != b"GET":
        return []
    query = split_target(request.target)[1].split(b"&")
    others = [pair for pair in query if pair and not pair.startswith(_FORMAT_PARAMETERS)]
    return [
        (name, "?" + quote_from_bytes(b"&".join((*others, b"echo_format=" + format_name)), safe=_QUERY_CHARACTERS))
        for name, format_name in _LINKED_FORMATS
    ]
