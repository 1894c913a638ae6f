"""Metadata of a call: header values, each with its redacted form."""

from collections.abc import Sequence
from typing import NamedTuple

from app.http.request import WireRequest, shown


class Given(NamedTuple):
    """A header value; `told` is the value, or a mask if it is redacted (ECHO_REDACT_RESPONSES)."""

    value: bytes
    told: bytes

    def quoted(self, most: int) -> str:
        """Return at most so many bytes of the redacted form, as lossless text for an error message."""
        return shown(self.told[:most])


def given(request: WireRequest, told: WireRequest, name: bytes) -> Sequence[Given]:
    """Return all values of a header (lower case), each with its redacted form from the redacted request `told`."""
    pairs = zip(request.fields, told.fields, strict=True)
    return [Given(value, may_be) for (key, value), (_, may_be) in pairs if key == name]
