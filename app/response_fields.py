"""Which fields an answer may be given because a client asks for them.

What a client asks for may have been put into a link that somebody else follows: so nothing that frames the message,
that makes a browser run, remember, send or open anything, or that takes back what makes the echo's answers harmless.
"""

import re
from typing import Final

from app.excerpts import shortened

# RFC 9110, 5.1, without `_`, which many readers take for `-`.
_NAME: Final = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z]+")
# RFC 9110, 5.5: visible characters, spaces and tabs between them, and obs-text, which here is UTF-8.
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")

# Framing and the connection are the carrier's (RFC 9110, 7.6.1; RFC 9112, 6); Date and Content-* say what is so.
_FRAMING: Final = frozenset(
    [
        "connection",
        "date",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ]
)
# By Location (there is a control for it), Refresh and Link a browser goes elsewhere; the others are rules or doors
# that it keeps open for all that is served under this name, or that switch its protection off.
_BROWSERS: Final = frozenset(
    [
        "accept-ch",
        "alt-svc",
        "clear-site-data",
        "link",
        "location",
        "nel",
        "origin-agent-cluster",
        "public-key-pins",
        "refresh",
        "report-to",
        "reporting-endpoints",
        "service-worker-allowed",
        "set-cookie2",
        "sourcemap",
        "speculation-rules",
        "strict-transport-security",
        "x-content-type-options",
        "x-frame-options",
        "x-sourcemap",
        "x-xss-protection",
        "activate-storage-access",
        "critical-ch",
        "origin-trial",
        "set-login",
        "timing-allow-origin",
        "use-as-dictionary",
    ]
)
# What a proxy acts on, as far as a file of its own, and what stands for one request among many.
_PROXIES: Final = frozenset(["x-lighttpd-send-file", "x-reproxy-url", "x-request-id", "x-sendfile"])
_NEVER: Final = _BROWSERS | _PROXIES
_PREFIXES: Final = (
    "access-control-", "attribution-reporting-", "content-", "cross-origin-", "proxy-", "sec-", "x-accel-",
    "x-lighttpd-", "x-reproxy-",
)  # fmt: skip
# What says how long an answer may be kept, and as what.
_CACHES: Final = frozenset(
    ["age", "cache-control", "cdn-cache-control", "expires", "pragma", "surrogate-control", "vary"]
)


def why_not(name: str, value: str, *, cookies: bool = False) -> str:
    """Say in a few words why an answer may not have this field; nothing where it may.

    Set-Cookie may be set where `cookies` are allowed.
    """
    lower = name.lower()
    shown = shortened(name)
    if not _NAME.fullmatch(name):
        return "not a field name (RFC 9110, 5.1), or one with _"
    if not _VALUE.fullmatch(value):
        return "a field value has no control characters (RFC 9110, 5.5)"
    if lower in _FRAMING:
        return f"{shown} is the connection's own"
    if lower == "set-cookie":
        return "" if cookies else "cookies are not allowed here (ECHO_ALLOW_COOKIE)"
    if lower in _NEVER or lower.startswith(_PREFIXES):
        return f"{shown} is never set because somebody asks for it"
    return ""


def is_for_caches(name: str) -> bool:
    """Tell whether a field says what caches may do.

    What asks for it must be part of what they look answers up by: else one that a client has asked for by a field would
    be kept for others who have not.
    """
    return name.lower() in _CACHES
