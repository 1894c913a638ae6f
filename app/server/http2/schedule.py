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
        self.due_times: dict[int, float] = {}  # of each stream
        self._heap: list[tuple[float, int]] = []  # a heap; entries that are outdated are ignored
        self._ready: dict[int, None] = {}  # streams that are due, in the order in which they are served

    def set_due(self, stream_id: int, due: float) -> None:
        """Set the only due time of a stream; it is served after those that are due now."""
        self._ready.pop(stream_id, None)
        self.due_times[stream_id] = due
        heappush(self._heap, (due, stream_id))
        if len(self._heap) > 2 * len(self.due_times) + _SLACK:
            self._heap = [(due, stream) for stream, due in self.due_times.items() if stream not in self._ready]
            heapify(self._heap)

    def remove(self, stream_id: int) -> None:
        """Remove a stream, if it is known."""
        self.due_times.pop(stream_id, None)
        self._ready.pop(stream_id, None)

    def due_streams(self, now: float) -> list[int]:
        """Return the streams that are due, the longest waiting first."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            due, stream_id = heappop(heap)
            if self.due_times.get(stream_id) == due:
                self._ready[stream_id] = None
        return list(self._ready)

    def next_due(self) -> float:
        """Return the due time of the next stream that is not ready yet, or `NEVER`."""
        heap = self._heap
        while heap and (self.due_times.get(heap[0][1]) != heap[0][0] or heap[0][1] in self._ready):
            heappop(heap)
        return heap[0][0] if heap else NEVER
