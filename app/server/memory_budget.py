"""What the clients of one worker make it hold at once, in bytes, and how much that may be."""

from typing import Final

# Of what is left, once a quarter is taken: some hundred clients that ask for much within one turn of the loop still fit
# beside each other, though each is given one answer more than its share.
_SHARES: Final = 512


class Waiting:
    """Counts the bytes that are held for clients.

    They are of answers whose time has not come, or that are sent piece by piece; of requests that are not whole; of
    what a client does not read.
    Whoever holds some adds them to `size`, and takes them off again, however it ends.
    """

    def __init__(self, most: int) -> None:
        self.size = 0
        self._most = most

    @property
    def share(self) -> int:
        """How many bytes one client may let wait by itself, if it asks for much: little, once much is held."""
        left = max(0, self._most - self.size)
        return left // _SHARES if self.size * 4 > self._most else left

    def has_room(self, size: int) -> bool:
        """Tell whether so many bytes more may be held."""
        return self.size + size <= self._most
