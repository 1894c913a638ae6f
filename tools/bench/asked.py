"""Requests sent to each server.

They are the same for all servers: a request without headers but Host, and one as a browser sends it.
"""

from typing import Final, Literal

from msgspec import Struct

Kind = Literal["bare", "json", "form"]


class Request(Struct, frozen=True):
    """A request without its target, which each server has by `kind`; every client adds Host."""

    kind: Kind
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def method(self) -> str:
        """The method: POST if there is a body."""
        return "POST" if self.kind == "form" else "GET"


# With Host there are twelve headers: what a browser's script sends, and what a proxy adds.
_BROWSER: Final = (
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Accept-Language", "en-GB,en;q=0.9,uk;q=0.8"),
    ("Cookie", "session=5d1f0a3c9b7e4f62; theme=dark"),
    ("Referer", "https://echo.example/start"),
    ("Sec-Fetch-Mode", "cors"),
    ("Sec-Fetch-Site", "same-origin"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-Proto", "https"),
    ("X-Request-Id", "7f3c2a91d4e84b0f9a6e5d2c1b0a9f8e"),
)
BARE: Final = Request("bare")
JSON: Final = Request("json", _BROWSER)


def posting(length: int) -> Request:
    """Return a POST with a body of this many bytes, as a browser sends it, that accepts JSON."""
    return Request("form", (*_BROWSER, ("Content-Type", "application/octet-stream")), b"y" * length)


def with_fields(count: int) -> Request:
    """Return a GET with this many headers, including Host, that accepts JSON."""
    named = tuple((f"X-Field-{number}", f"value-{number:04d}-of-a-usual-length") for number in range(2, count))
    return Request("json", (("Accept", "application/json"), *named) if count > 1 else ())
