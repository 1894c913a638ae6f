"""The trailers of an answer: those of the request, sent back to who says that trailers reach it."""

from typing import Final

from app.http.request import Fields, WireRequest

# What a sender must not put into trailers: framing, routing, authentication, and what says how the content is to be
# handled (RFC 9110, 6.5.1); and what a browser would act on, did it read them.
_NEVER: Final = frozenset(
    b"age authorization cache-control connection content-encoding content-length content-location content-range"
    b" content-type cookie date expect expires host keep-alive location max-forwards pragma proxy-authenticate"
    b" proxy-authorization proxy-connection range retry-after set-cookie set-cookie2 te trailer transfer-encoding"
    b" upgrade vary warning www-authenticate".split()
)


def accepts_trailers(request: WireRequest) -> bool:
    """Tell whether the client says that it takes trailers, and all between it and us (RFC 9110, 10.1.4)."""
    return any(
        name.lower() == b"te" and b"trailers" in (part.strip(b" \t").lower() for part in value.split(b","))
        for name, value in request.fields
    )


def echoed_trailers(trailers: Fields) -> Fields:
    """Give those trailers that may be sent."""
    return tuple((name, value) for name, value in trailers if name.lower() not in _NEVER)
