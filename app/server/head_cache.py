"""Heads of requests that come again, as load generators, probes and pages send them: read once."""

from typing import Final, TypeVar

from msgspec import structs

from app.server.http1.events import Head
from app.server.http2.request_parser import Requested

# Heads, bytes of the longest, and bytes of all. What is made of a head may take a hundred times its size (Forwarded: a
# dict for each two bytes), so that a client could fill some 3 MB.
_COUNT: Final = 128
_LONGEST: Final = 8192
_MOST: Final = 32_768
_PLACES: Final = 256

Came = TypeVar("Came")
Read = TypeVar("Read", Head, Requested)


class Recent(dict[Came, Read]):
    """What some heads say, by all that came of them: bytes, or the fields that HTTP/2 has.

    One is kept when it comes for the second time. What comes once, as where each request has an id of its own, costs a
    look at its hash; to keep it would make its request a fifth dearer. As many are kept as a load has that repeats, and
    only so many bytes of them, so that a client that makes them up fills no memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self._came = [0] * _PLACES  # the hash of the head that came last, of those that share a place
        self._size = 0  # bytes of those that are kept

    def keep(self, head: Came, size: int, read: Read) -> Read:
        """Give what a head of so many bytes says; if it comes again, keep it, with a place for what follows from it."""
        known = hash(head)
        place = known % _PLACES
        if self._came[place] != known:
            self._came[place] = known
            return read
        if size > _LONGEST:
            return read
        if len(self) >= _COUNT or self._size + size > _MOST:
            self.clear()
            self._size = 0
        self._size += size
        read = self[head] = structs.replace(read, request=structs.replace(read.request, made={}))
        return read
