"""The document: the template and the style beside this file, filled with what a request was."""

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
_LONG_PATH: Final = 120  # characters above which the heading is set smaller, and scrolls

# The other forms that a browser shows, and what may stand in a reference as it is (RFC 3986, 3.4).
_FORMS: Final = (("JSON", b"json"), ("YAML", b"yaml"), ("plain text", b"text"))
_CHOICES: Final = (b"echo_format=", b"echo-format=")
_QUERY_CHARACTERS: Final = "!$%&'()*+,-./:;=?@_~"

# Of what every answer forbids, this style alone is allowed.
FIELDS: Final = (("Content-Security-Policy", f"{POLICY}; style-src 'sha256-{_STYLE_HASH}'"),)


def page(context: Context) -> bytes:
    """Give the page about a request, UTF-8; its body begins as the bare answer."""
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
    """Give references to the other forms of the answer; other requests than a GET are not repeated by a link."""
    if request.method != b"GET":
        return []
    query = split_target(request.target)[1].split(b"&")
    others = [pair for pair in query if pair and not pair.startswith(_CHOICES)]
    return [
        (name, "?" + quote_from_bytes(b"&".join((*others, b"echo_format=" + form)), safe=_QUERY_CHARACTERS))
        for name, form in _FORMS
    ]
