"""The answers of one worker that wait for their time, and what they may take of its memory."""

from typing import Final

# A thousand answers of the usual size are two of these; one of 64 KiB of nested JSON, made for people, is four.
MOST: Final = 32 << 20


class Waiting:
    """Counts the bytes of answers whose time has not come."""

    def __init__(self, most: int = MOST) -> None:
        self.size = 0
        self._most = most

    def has_room(self, size: int) -> bool:
        """Tell whether one more answer, of so many bytes, may wait."""
        return self.size + size <= self._most
