"""Attempt counter: attempts per X-Request-Id, for a limited number of IDs."""

from collections import OrderedDict
from typing import Final

MAX_IDS: Final = 10_000  # IDs that are kept, some megabytes at most; the least recently seen is removed first


class AttemptCounter:
    """The attempt counter of one worker. Other workers and pods count their own."""

    def __init__(self, max_ids: int = MAX_IDS) -> None:
        self._max_ids = max_ids
        self._counts: OrderedDict[str, int] = OrderedDict()

    def increment(self, request_id: str) -> int:
        """Count one more attempt of a request, and return the number of attempts including it."""
        count = self._counts[request_id] = self._counts.pop(request_id, 0) + 1
        if len(self._counts) > self._max_ids:
            self._counts.popitem(last=False)
        return count
