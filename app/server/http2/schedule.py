"""Schedule of a connection's streams by the time of their next output.

Streams that are due are served in turn.
"""

from heapq import heapify, heappop, heappush
from typing import Final

from app.server.http2.exchange import NEVER

_SLACK: Final = 64  # outdated entries in the heap, before it is rebuilt


class Schedule:
    """Streams by due time on the loop's clock. Each operation is cheap, however many there are."""

    def __init__(self) -> None:
        self.due: dict[int, float] = {}  # of each stream
        self._later: list[tuple[float, int]] = []  # a heap; entries that are outdated are ignored
        self._ready: dict[int, None] = {}  # streams that are due, in the order in which they are served

    def put(self, stream: int, due: float) -> None:
        """Set the only due time of a stream; it is served after those that are due now."""
        self._ready.pop(stream, None)
        self.due[stream] = due
        heappush(self._later, (due, stream))
        if len(self._later) > 2 * len(self.due) + _SLACK:
            self._later = [(due, stream) for stream, due in self.due.items() if stream not in self._ready]
            heapify(self._later)

    def drop(self, stream: int) -> None:
        """Remove a stream, if it is known."""
        self.due.pop(stream, None)
        self._ready.pop(stream, None)

    def ready(self, now: float) -> list[int]:
        """Return the streams that are due, the longest waiting first."""
        later = self._later
        while later and later[0][0] <= now:
            due, stream = heappop(later)
            if self.due.get(stream) == due:
                self._ready[stream] = None
        return list(self._ready)

    def next(self) -> float:
        """Return the due time of the next stream that is not ready yet, or `NEVER`."""
        later = self._later
        while later and (self.due.get(later[0][1]) != later[0][0] or later[0][1] in self._ready):
            heappop(later)
        return later[0][0] if later else NEVER
