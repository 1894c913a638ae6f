"""Other echoes' ways of answering: by name, what each gives for a request."""

from collections.abc import Callable
from typing import Final

from app.answer import Answer
from app.context import Context
from app.dialects.echoserver import echoserver
from app.dialects.gateway_api import gateway_api
from app.dialects.httpbin import httpbin
from app.dialects.whoami import whoami

DIALECTS: Final[dict[str, Callable[[Context], Answer]]] = {
    "gateway-api": gateway_api,
    "whoami": whoami,
    "echoserver": echoserver,
    "httpbin": httpbin,
}
