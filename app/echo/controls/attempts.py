"""How often a request was tried: counted by its X-Request-Id, for as many ids as fit."""

from collections import OrderedDict
from typing import Final

MOST: Final = 10_000  # ids that are remembered, some megabytes at most; the one that was longest not seen goes first


class Tries:
    """The tries of one worker. Another worker, or another pod, counts its own."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._counts: OrderedDict[str, int] = OrderedDict()

    def again(self, request_id: str) -> int:
        """Count one more try of a request, and give how many there were with it."""
        count = self._counts[request_id] = self._counts.pop(request_id, 0) + 1
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return count
