"""From HTTP/1.1 to HTTP/2 by Upgrade (RFC 7540, 3.2). RFC 9113 advises against it; clients still ask for it."""

import base64
import re
from typing import Final

from app.http.request import WireRequest
from app.server.response import Response

SWITCHING_TO_HTTP2: Final = Response("101 Switching Protocols", (("Upgrade", "h2c"),), b"")
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")
_SETTING: Final = 6  # bytes


def http2_settings(request: WireRequest) -> bytes | None:
    """Give the payload of the SETTINGS frame that a request to upgrade carries, or None for one that can't be taken.

    There must be exactly one HTTP2-Settings field, in base64url without padding (3.2.1).
    """
    values = [value for name, value in request.fields if name.lower() == b"http2-settings"]
    if len(values) != 1 or not _BASE64URL.fullmatch(values[0]):
        return None
    try:
        settings = base64.urlsafe_b64decode(values[0] + b"=" * (-len(values[0]) % 4))
    except ValueError:
        return None
    return settings if len(settings) % _SETTING == 0 else None
