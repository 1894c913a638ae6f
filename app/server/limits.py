"""How much of one request is taken, whatever protocol carries it."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Limits of one request: bytes of its head, number of headers, bytes of its body."""

    head: int
    fields: int
    body: int
