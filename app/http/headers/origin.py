"""Whether a request comes from a page of another origin.

Browsers let no page read an answer that comes from elsewhere, unless that answer allows it, and ours never does. A
WebSocket they let every page open and read: its server has to look at Origin itself (RFC 6455, 10.2).
"""

from typing import Final

from app.http.request import WireRequest

# What a browser adds to a request by itself, whichever page makes it.
CREDENTIALS: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization"))

_ORIGIN: Final = b"origin"
_HOST: Final = b"host"
_SCHEME_END: Final = b"://"


def is_foreign(request: WireRequest) -> bool:
    """Tell whether a browser says that a page which is not this host's has made the request (RFC 6454, 7).

    Of several fields, or one that is `null` or malformed, none is this host's. Who sends none is no browser.
    """
    origins = [value for name, value in request.fields if name.lower() == _ORIGIN]
    if not origins:
        return False
    host = request.authority or next((value for name, value in request.fields if name.lower() == _HOST), b"")
    return len(origins) > 1 or origins[0].partition(_SCHEME_END)[2].lower() != host.lower()
