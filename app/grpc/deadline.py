"""The time that a client gives a call."""

import re
from math import inf
from typing import Final

from app.grpc.status import CallError, Code
from app.wire import Fields, shown

FIELD: Final = b"grpc-timeout"
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_SECONDS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_SHOWN: Final = 20  # bytes of what is none


def timeout(fields: Fields) -> float:
    """Give the seconds that a client gives a call, from its head on; infinity where it says nothing.

    Raises `CallError` for what is no `grpc-timeout`.
    https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests
    """
    values = [value for name, value in fields if name == FIELD]
    if not values:
        return inf
    match = _TIMEOUT.fullmatch(values[0])
    if match is None or len(values) > 1:
        raise CallError(Code.INTERNAL, f"not one grpc-timeout, such as 250m or 5S: {shown(values[0][:_SHOWN])}")
    return int(match[1]) * _SECONDS[match[2]]
