"""Cache of parsed request heads, for heads that are repeated.

Load generators, probes and web pages send the same head again: it is parsed once.
"""

from typing import Final, TypeVar

from msgspec import structs

from app.server.http1.events import Head
from app.server.http2.request_parser import Requested

# Limits: number of heads, bytes of the longest, bytes of all. The objects parsed from a head may take a hundred times
# its size (Forwarded: a dict for each two bytes), so that a client could fill some 3 MB.
_COUNT: Final = 128
_LONGEST: Final = 8192
_MOST: Final = 32_768
_PLACES: Final = 256

Came = TypeVar("Came")
Read = TypeVar("Read", Head, Requested)


class Recent(dict[Came, Read]):
    """Parsed heads by their raw form: bytes, or the header list of HTTP/2.

    A head is stored when it arrives for the second time. One that arrives once, as when every request has its own ID,
    costs a comparison of its hash; to store it would make its request 20 % more expensive. The number of heads is
    enough for repetitive load, and their total size is limited, so that a client with invented heads fills no memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self._came = [0] * _PLACES  # the hash of the last head in each slot
        self._size = 0  # bytes of the stored heads

    def keep(self, head: Came, size: int, read: Read) -> Read:
        """Return the parsed head; store it if it is repeated, with a place for values derived from it.

        `size` is the head's size in bytes.
        """
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
