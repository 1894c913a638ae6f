"""Which fields an answer may be given because a client asks for them.

What a client asks for may have been put into a link that somebody else follows: so nothing that frames the message,
that makes a browser run, remember, send or open anything, or that takes back what makes the echo's answers harmless.
"""

import re
from typing import Final

from app.http.text import shortened

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
# By Location (there is a control for it), Refresh, Link and Onion-Location a browser goes elsewhere; by No-Vary-Search
# it takes what it has kept for the answer to any query of the path; by WWW-Authenticate it asks for a password,
# by Secure-Session-* it makes a key. The others are rules or doors that it keeps open for all that is served under this
# name, or that switch its protection off.
_BROWSERS: Final = frozenset(
    [
        "activate-storage-access",
        "alt-svc",
        "authentication-control",
        "clear-site-data",
        "cookie-indices",
        "critical-ch",
        "document-isolation-policy",
        "document-policy",
        "expect-ct",
        "link",
        "location",
        "nel",
        "no-vary-search",
        "observe-browsing-topics",
        "onion-location",
        "origin-agent-cluster",
        "origin-trial",
        "public-key-pins",
        "public-key-pins-report-only",
        "referrer-policy",
        "refresh",
        "report-to",
        "reporting-endpoints",
        "set-cookie2",
        "set-login",
        "sourcemap",
        "speculation-rules",
        "strict-transport-security",
        "supports-loading-mode",
        "timing-allow-origin",
        "use-as-dictionary",
        "www-authenticate",
        "x-content-security-policy",
        "x-content-type-options",
        "x-dns-prefetch-control",
        "x-frame-options",
        "x-permitted-cross-domain-policies",
        "x-sourcemap",
        "x-ua-compatible",
        "x-webkit-csp",
        "x-xss-protection",
    ]
)
# What a proxy acts on, as far as a file of its own, and what stands for one request among many.
_PROXIES: Final = frozenset(["x-lighttpd-send-file", "x-reproxy-url", "x-request-id", "x-sendfile"])
_NEVER: Final = _BROWSERS | _PROXIES
_PREFIXES: Final = (
    "accept-ch", "access-control-", "ad-auction-", "attribution-reporting-", "content-", "cross-origin-", "proxy-",
    "sec-", "secure-session-", "service-worker-", "shared-storage-", "x-accel-", "x-lighttpd-", "x-litespeed-",
    "x-reproxy-",
)  # fmt: skip
# What says how long an answer may be kept, and as what; a cache may have a Cache-Control of its own (RFC 9213, 2.1).
_CACHES: Final = frozenset(["age", "edge-control", "expires", "netlify-vary", "pragma", "vary"])
_OF_A_CACHE: Final = "cache-control"
_SURROGATES: Final = "surrogate-"


def why_not(name: str, value: str, *, cookies: bool = False) -> str:
    """Say in a few words why an answer may not have this field; nothing where it may.

    Set-Cookie may be set where `cookies` are allowed.
    """
    lower = name.lower()
    shown = shortened(name)
    if not _NAME.fullmatch(name):
        return "invalid header name (RFC 9110, 5.1; without _)"
    if not _VALUE.fullmatch(value):
        return "control character in the header value (RFC 9110, 5.5)"
    if lower in _FRAMING:
        return f"{shown} is set by the server"
    if lower == "set-cookie":
        return "" if cookies else "cookies are disabled (ECHO_ALLOW_COOKIE)"
    if lower in _NEVER or lower.startswith(_PREFIXES):
        return f"{shown} can't be set by a client"
    return ""


NOT_BY_A_FIELD: Final = "only echo_header in the query can set it: caches distinguish responses by URL"
"""Why a field that `is_for_caches` is not set because a field asks for it."""


def is_for_caches(name: str) -> bool:
    """Tell whether a field says what caches may do.

    What asks for it must be part of what they look answers up by: else one that a client has asked for by a field would
    be kept for others who have not.
    """
    lower = name.lower()
    return lower in _CACHES or lower.endswith(_OF_A_CACHE) or lower.startswith(_SURROGATES)
