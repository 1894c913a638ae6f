"""The deadline of a call: parser of grpc-timeout."""

import re
from collections.abc import Sequence
from math import inf
from typing import Final

from app.grpc.metadata import MetadataValue
from app.grpc.status import CallError, StatusCode

HEADER_NAME: Final = b"grpc-timeout"
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_MAX_EXCERPT: Final = 20  # maximum bytes of an invalid value in an error message


def parse_timeout(values: Sequence[MetadataValue]) -> float:
    """Return the timeout of a call in seconds since its request head; infinity if the client sets none.

    `values` are those of `grpc-timeout`. Raise `CallError` if there are several, or an invalid one.
    https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests
    """
    if not values:
        return inf
    match = _TIMEOUT.fullmatch(values[0].value)
    if match is None or len(values) > 1:
        raise CallError(
            StatusCode.INTERNAL,
            f"invalid grpc-timeout {values[0].excerpt(_MAX_EXCERPT)}; must be one value such as 250m or 5S",
        )
    return int(match[1]) * _SECONDS[match[2]]
