"""Memory budget of a worker: bytes buffered for all clients."""

from typing import Final

# Parts of the remaining budget, one per client, once a quarter is used. Some hundred clients that request much within
# one turn of the loop still fit, although each may get one response above its share.
_SHARES: Final = 512


class Waiting:
    """Counter of the bytes buffered for clients.

    They belong to delayed and streamed responses, to incomplete requests, and to output that clients do not read.
    Whoever buffers bytes adds them to `size`, and subtracts them again however it ends.
    """

    def __init__(self, most: int) -> None:
        self.size = 0
        self._most = most

    @property
    def share(self) -> int:
        """Bytes that one client may have buffered for itself: few, once much of the budget is used."""
        left = max(0, self._most - self.size)
        return left // _SHARES if self.size * 4 > self._most else left

    def has_room(self, size: int) -> bool:
        """Return whether `size` more bytes fit into the budget."""
        return self.size + size <= self._most
