"""Memory budget of a worker: bytes buffered for all clients."""

from typing import Final

# Parts of the remaining budget, one per client, once a quarter is used. Some hundred clients that request much within
# one turn of the loop still fit, although each may get one response above its share.
_SHARES: Final = 512


class MemoryBudget:
    """Counter of the bytes buffered for clients.

    They belong to delayed and streamed responses, to incomplete requests, and to output that clients do not read.
    Whoever buffers bytes adds them to `used`, and subtracts them again however it ends.
    """

    def __init__(self, limit: int) -> None:
        self.used = 0
        self._limit = limit

    @property
    def share(self) -> int:
        """Bytes that one client may have buffered for itself: few, once much of the budget is used."""
        available = max(0, self._limit - self.used)
        return available // _SHARES if self.used * 4 > self._limit else available

    def has_room(self, size: int) -> bool:
        """Return whether `size` more bytes fit into the budget."""
        return self.used + size <= self._limit
