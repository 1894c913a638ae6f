"""The dialects by name: renderers that emulate other echo servers."""

from collections.abc import Callable
from typing import Final

from app.echo.context import Context
from app.echo.formats.dialects.echoserver import echoserver
from app.echo.formats.dialects.gateway_api import gateway_api
from app.echo.formats.dialects.whoami import whoami
from app.http.response import RenderedResponse

DIALECTS: Final[dict[str, Callable[[Context], RenderedResponse]]] = {
    "gateway-api": gateway_api,
    "whoami": whoami,
    "echoserver": echoserver,
}
