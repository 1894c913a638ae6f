"""Renderer of the page: template and style sheet, filled from a request."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes

from bottle import SimpleTemplate

from app import __version__
from app.echo.context import Context
from app.echo.formats.html.components import shortened
from app.echo.formats.html.escaping import escaped
from app.echo.formats.html.hops import journey_of
from app.echo.formats.html.sections import sections_of
from app.echo.reflection.model import reflect
from app.http.request import WireRequest, decoded_path, split_target
from app.http.response import POLICY

_HERE: Final = Path(__file__).parent
_STYLE: Final = (_HERE / "style.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode("ascii")
_TEMPLATE: Final = SimpleTemplate((_HERE / "page.html").read_text(encoding="utf-8"), escape_func=escaped)
_LONGEST_TITLE: Final = 80  # characters
_LONG_PATH: Final = 120  # characters above which the heading is smaller, and scrolls

# The other formats that a browser can display, and the unescaped characters of a query (RFC 3986, 3.4).
_FORMS: Final = (("JSON", b"json"), ("YAML", b"yaml"), ("plain text", b"text"))
_CHOICES: Final = (b"echo_format=", b"echo-format=")
_QUERY_CHARACTERS: Final = "!$%&'()*+,-./:;=?@_~"

# The policy of every response, with this style sheet as the only exception.
FIELDS: Final = (("Content-Security-Policy", f"{POLICY}; style-src 'sha256-{_STYLE_HASH}'"),)


def page(context: Context) -> bytes:
    """Return the page about a request, as UTF-8; its body begins like the bare response."""
    reflected = reflect(context)
    sections = sections_of(reflected, context)
    path = decoded_path(context.request.target).decode("utf-8", "replace")
    written: str = _TEMPLATE.render(
        forms=_forms(context.request),
        absent=[section.title for section in sections if not section.blocks],
        journey=journey_of(reflected),
        long=len(path) > _LONG_PATH,
        path=path,
        sections=[section for section in sections if section.blocks],
        style=_STYLE,
        title=shortened(f"{reflected.method} {reflected.path}", _LONGEST_TITLE),
        version=__version__,
    )
    return written.encode()


def _forms(request: WireRequest) -> list[tuple[str, str]]:
    """Return links to the other formats of the response; none unless the method is GET, the only one a link sends."""
    if request.method != b"GET":
        return []
    query = split_target(request.target)[1].split(b"&")
    others = [pair for pair in query if pair and not pair.startswith(_CHOICES)]
    return [
        (name, "?" + quote_from_bytes(b"&".join((*others, b"echo_format=" + form)), safe=_QUERY_CHARACTERS))
        for name, form in _FORMS
    ]
