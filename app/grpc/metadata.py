"""What the head of a call says in one field: a value to judge by, and the same as it may be quoted."""

from collections.abc import Sequence
from typing import NamedTuple

from app.http.request import WireRequest, shown


class Given(NamedTuple):
    """A field's value; `told` is a mask where nobody may see it (ECHO_REDACT_RESPONSES)."""

    value: bytes
    told: bytes

    def quoted(self, most: int) -> str:
        """Give at most so many bytes of it, as they may be shown in a sentence."""
        return shown(self.told[:most])


def given(request: WireRequest, told: WireRequest, name: bytes) -> Sequence[Given]:
    """Give the values of a field (lower case) of a request, of which `told` is what may be shown."""
    pairs = zip(request.fields, told.fields, strict=True)
    return [Given(value, may_be) for (key, value), (_, may_be) in pairs if key == name]
