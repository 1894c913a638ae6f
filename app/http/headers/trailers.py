"""Response trailers: those of the request, echoed if TE allows."""

from typing import Final

from app.http.request import HeaderList, HttpRequest

# Not allowed in trailers: framing, routing, authentication, and control of the content's processing (RFC 9110, 6.5.1);
# and anything that a browser would act on if it read trailers.
_FORBIDDEN: Final = frozenset(
    b"age authorization cache-control connection content-encoding content-length content-location content-range"
    b" content-type cookie date expect expires host keep-alive location max-forwards pragma proxy-authenticate"
    b" proxy-authorization proxy-connection range retry-after set-cookie set-cookie2 te trailer transfer-encoding"
    b" upgrade vary warning www-authenticate".split()
)


def accepts_trailers(request: HttpRequest) -> bool:
    """Return whether the client, and every proxy before it, accepts trailers (RFC 9110, 10.1.4)."""
    return any(
        name.lower() == b"te" and b"trailers" in (part.strip(b" \t").lower() for part in value.split(b","))
        for name, value in request.headers
    )


def filter_trailers(trailers: HeaderList) -> HeaderList:
    """Return those trailers that may be sent."""
    return tuple((name, value) for name, value in trailers if name.lower() not in _FORBIDDEN)
