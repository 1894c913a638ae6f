"""Metadata of a call: header values, each with its redacted form."""

from collections.abc import Sequence
from typing import NamedTuple

from app.http.request import HttpRequest, decode_lossless


class MetadataValue(NamedTuple):
    """A header value; `redacted` is the value, or a mask if it is redacted (ECHO_REDACT_RESPONSES)."""

    value: bytes
    redacted: bytes

    def excerpt(self, max_bytes: int) -> str:
        """Return at most so many bytes of the redacted form, as lossless text for an error message."""
        return decode_lossless(self.redacted[:max_bytes])


def metadata_values(request: HttpRequest, redacted_request: HttpRequest, name: bytes) -> Sequence[MetadataValue]:
    """Return all values of a header (lower case), each with its redacted form from `redacted_request`."""
    pairs = zip(request.headers, redacted_request.headers, strict=True)
    return [MetadataValue(value, redacted_value) for (key, value), (_, redacted_value) in pairs if key == name]
