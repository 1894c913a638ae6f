"""Cross-origin check of browser requests by the Origin header.

Browsers let a page read a cross-origin response only if the response allows it, which ours never do. But they let every
page open and read a WebSocket: the server has to check Origin itself (RFC 6455, 10.2).
"""

from typing import Final

from app.http.request import HttpRequest

# Headers that a browser adds to a request by itself, whichever page makes it.
CREDENTIAL_HEADERS: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization"))

_ORIGIN: Final = b"origin"
_HOST: Final = b"host"
_SCHEME_END: Final = b"://"


def is_cross_origin(request: HttpRequest) -> bool:
    """Return whether a browser sent the request for a page of another host (RFC 6454, 7).

    Several Origin headers, and one that is `null` or malformed, count as another host. A client without Origin is not a
    browser.
    """
    origins = [value for name, value in request.headers if name.lower() == _ORIGIN]
    if not origins:
        return False
    host = request.authority or next((value for name, value in request.headers if name.lower() == _HOST), b"")
    return len(origins) > 1 or origins[0].partition(_SCHEME_END)[2].lower() != host.lower()
