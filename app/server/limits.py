"""Limits on the size of one request, for every HTTP version."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Limits of one request: bytes of its head, number of headers, bytes of its body."""

    head: int
    fields: int
    body: int
