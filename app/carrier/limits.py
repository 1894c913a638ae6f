"""How much of one request is taken, whatever protocol carries it."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """How much of one request is taken: bytes of head, fields, bytes of body, bytes of one field."""

    head: int
    fields: int
    body: int
    field: int = 65_536
