"""Other echoes' ways of answering: by name, what each gives for a request."""

from collections.abc import Callable
from typing import Final

from app.echo.context import Context
from app.echo.formats.dialects.echoserver import echoserver
from app.echo.formats.dialects.gateway_api import gateway_api
from app.echo.formats.dialects.whoami import whoami
from app.http.response import Answer

DIALECTS: Final[dict[str, Callable[[Context], Answer]]] = {
    "gateway-api": gateway_api,
    "whoami": whoami,
    "echoserver": echoserver,
}
