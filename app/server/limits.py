"""Limits on the size of one request, for every HTTP version."""

import msgspec


class RequestLimits(msgspec.Struct, frozen=True):
    """Limits of one request: bytes of its head, number of headers, bytes of its body."""

    head_size: int
    header_count: int
    body_size: int
