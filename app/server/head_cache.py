"""Cache of parsed request heads, for heads that are repeated.

Load generators, probes and web pages send the same head again: it is parsed once.
"""

from typing import Final, TypeVar

from msgspec import structs

from app.server.http1.events import RequestHead
from app.server.http2.request_parser import ParsedRequest

# Limits: number of heads, bytes of the longest, bytes of all. The objects parsed from a head may take a hundred times
# its size (Forwarded: a dict for each two bytes), so that a client could fill some 3 MB.
_MAX_HEADS: Final = 128
_MAX_HEAD_SIZE: Final = 8192
_MAX_TOTAL_SIZE: Final = 32_768
_HASH_SLOTS: Final = 256

RawHead = TypeVar("RawHead")
ParsedHead = TypeVar("ParsedHead", RequestHead, ParsedRequest)


class HeadCache(dict[RawHead, ParsedHead]):
    """Parsed heads by their raw form: bytes, or the header list of HTTP/2.

    A head is stored when it arrives for the second time. One that arrives once, as when every request has its own ID,
    costs a comparison of its hash; to store it would make its request 20 % more expensive. The number of heads is
    enough for repetitive load, and their total size is limited, so that a client with invented heads fills no memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen_hashes = [0] * _HASH_SLOTS  # the hash of the last head in each slot
        self._total_size = 0  # bytes of the stored heads

    def store_if_repeated(self, head: RawHead, size: int, parsed: ParsedHead) -> ParsedHead:
        """Return the parsed head; store it if it is repeated, with a place for values derived from it.

        `size` is the head's size in bytes.
        """
        head_hash = hash(head)
        slot = head_hash % _HASH_SLOTS
        if self._seen_hashes[slot] != head_hash:
            self._seen_hashes[slot] = head_hash
            return parsed
        if size > _MAX_HEAD_SIZE:
            return parsed
        if len(self) >= _MAX_HEADS or self._total_size + size > _MAX_TOTAL_SIZE:
            self.clear()
            self._total_size = 0
        self._total_size += size
        parsed = self[head] = structs.replace(parsed, request=structs.replace(parsed.request, memo={}))
        return parsed
