"""Response headers that a client can set with a control.

A control may be part of a link that somebody else follows. So headers are rejected that frame the message, that make a
browser run, store, send or open anything, or that weaken the security headers of a response.
"""

import re
from typing import Final

from app.http.text import shorten

# RFC 9110, 5.1, without `_`, which many recipients treat as `-`.
NAME: Final = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z]+")
# RFC 9110, 5.5: visible characters, spaces and tabs between them, and obs-text, here UTF-8.
VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")

# The server sets framing and connection headers (RFC 9110, 7.6.1; RFC 9112, 6); Date and Content-* describe the
# response.
_FRAMING_HEADERS: Final = frozenset(
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
# Location (which has its own control), Refresh, Link and Onion-Location make a browser open another URL. No-Vary-Search
# makes it reuse a cached response for any query of the path. WWW-Authenticate makes it ask for a password,
# Secure-Session-* makes it create a key. The others are policies or permissions that it stores for everything served
# under this host name, or they disable its protections.
_BROWSER_HEADERS: Final = frozenset(
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
# Headers that a proxy acts on, such as serving one of its own files, and the id of the request.
_PROXY_HEADERS: Final = frozenset(["x-lighttpd-send-file", "x-reproxy-url", "x-request-id", "x-sendfile"])
_FORBIDDEN: Final = _BROWSER_HEADERS | _PROXY_HEADERS
_FORBIDDEN_PREFIXES: Final = (
    "accept-ch", "access-control-", "ad-auction-", "attribution-reporting-", "content-", "cross-origin-", "proxy-",
    "sec-", "secure-session-", "service-worker-", "shared-storage-", "x-accel-", "x-lighttpd-", "x-litespeed-",
    "x-reproxy-",
)  # fmt: skip
# Headers that control caching; a cache may have its own Cache-Control (RFC 9213, 2.1).
_CACHING_HEADERS: Final = frozenset(["age", "edge-control", "expires", "netlify-vary", "pragma", "vary"])
_CACHE_CONTROL_SUFFIX: Final = "cache-control"
_SURROGATE_PREFIX: Final = "surrogate-"


def rejection_reason(name: str, value: str, *, allow_cookies: bool = False) -> str:
    """Return in a few words why a client can't set this response header; empty if it can.

    Set-Cookie is accepted only if `allow_cookies` is true.
    """
    lower = name.lower()
    excerpt = shorten(name)
    if not NAME.fullmatch(name):
        return "invalid header name (RFC 9110, 5.1; without _)"
    if not VALUE.fullmatch(value):
        return "control character in the header value (RFC 9110, 5.5)"
    if lower in _FRAMING_HEADERS:
        return f"{excerpt} is set by the server"
    if lower == "set-cookie":
        return "" if allow_cookies else "cookies are disabled (ECHO_ALLOW_COOKIE)"
    if lower in _FORBIDDEN or lower.startswith(_FORBIDDEN_PREFIXES):
        return f"{excerpt} can't be set by a client"
    return ""


QUERY_ONLY_REASON: Final = "only echo_header in the query can set it: caches distinguish responses by URL"
"""Why a header that `is_caching_header` can't be set by a request header."""


def is_caching_header(name: str) -> bool:
    """Return whether a header controls caching.

    The control for it must be part of the cache key, the URL. If a request header could set it, the response would be
    cached for clients that did not send that header.
    """
    lower = name.lower()
    return lower in _CACHING_HEADERS or lower.endswith(_CACHE_CONTROL_SUFFIX) or lower.startswith(_SURROGATE_PREFIX)
