"""When the answers of a connection's streams have more to send: in order of time, and those that are due in turn."""

from heapq import heapify, heappop, heappush
from typing import Final

from app.server.http2.exchange import NEVER

_SLACK: Final = 64  # entries of what is no more, before they are thrown away


class Schedule:
    """Streams by the time at which each is due, on the loop's clock. Each step costs little, however many there are."""

    def __init__(self) -> None:
        self.due: dict[int, float] = {}  # of each stream
        self._later: list[tuple[float, int]] = []  # a heap; entries that are no stream's time any more are passed over
        self._ready: dict[int, None] = {}  # those whose time has come, in the order in which they are served

    def put(self, stream: int, due: float) -> None:
        """Let a stream be due at this time, and at no other one; behind those that are due now."""
        self._ready.pop(stream, None)
        self.due[stream] = due
        heappush(self._later, (due, stream))
        if len(self._later) > 2 * len(self.due) + _SLACK:
            self._later = [(due, stream) for stream, due in self.due.items() if stream not in self._ready]
            heapify(self._later)

    def drop(self, stream: int) -> None:
        """Forget a stream, if it is known."""
        self.due.pop(stream, None)
        self._ready.pop(stream, None)

    def ready(self, now: float) -> list[int]:
        """Give the streams that are due, the one first that has waited longest."""
        later = self._later
        while later and later[0][0] <= now:
            due, stream = heappop(later)
            if self.due.get(stream) == due:
                self._ready[stream] = None
        return list(self._ready)

    def next(self) -> float:
        """Give the time at which the next stream is due that was not so far, or `NEVER`."""
        later = self._later
        while later and (self.due.get(later[0][1]) != later[0][0] or later[0][1] in self._ready):
            heappop(later)
        return later[0][0] if later else NEVER
