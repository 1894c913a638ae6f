"""Where the workers of one echo write what they have counted, so that any of them can tell the sum.

It is memory that the arbiter has made before it forked them. `prometheus_client` would share its values by files
(https://prometheus.github.io/client_python/multiprocess/), and who writes to a file of a `/dev/shm` that is full is
ended by SIGBUS. And a worker that comes in the place of another one takes its place here, too: no count begins anew,
and nothing grows with every worker that there ever was.
"""

import mmap
import struct
from typing import Final

from app.telemetry.counters import Tally, decoded, encoded

# Bytes of one tally, at most: every method, class, protocol and format at once is half of it (a test counts). Memory
# that was never written to is none.
ROOM: Final = 1 << 18
_PLACE: Final = mmap.PAGESIZE + 2 * ROOM
# Whether a worker is there, and how often something was written: eight bytes, which are copied in one piece. By
# `pack_into`, and byte by byte, another process would read what is half put down: that writes zeros first.
_STATE: Final = struct.Struct("=II")
_LENGTH: Final = struct.Struct("=I")
_TRIES: Final = 10


class Board:
    """A number of places, each for one worker at a time.

    What is written to one goes to either of two halves in turn, and is the place's when it is whole: a worker that is
    killed meanwhile leaves what it had written before.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._memory = mmap.mmap(-1, places * _PLACE)

    def take(self) -> int | None:
        """Take a place that is free, or give None when there is none."""
        for place in range(self._places):
            there, count = self._state(place)
            if not there:
                self._put(place, 1, count)
                return place
        return None

    def leave(self, place: int) -> None:
        """Leave a place to the next one; what was written stays, but for what was so at the time."""
        tally = self.read(place)
        tally.now = type(tally.now)()
        self.write(place, tally)
        self._put(place, 0, self._state(place)[1])

    def write(self, place: int, tally: Tally) -> None:
        """Write a worker's tally. One that has no room is not written: the one before stays."""
        data = encoded(tally)
        if len(data) > ROOM - _LENGTH.size:
            return
        there, count = self._state(place)
        begin = self._half(place, count + 1)
        self._memory[begin : begin + _LENGTH.size + len(data)] = _LENGTH.pack(len(data)) + data
        self._put(place, there, count + 1)

    def read(self, place: int) -> Tally:
        """Read what was written last."""
        for _ in range(_TRIES):
            _, count = self._state(place)
            if not count:
                break
            begin = self._half(place, count)
            (length,) = _LENGTH.unpack_from(self._memory, begin)
            data = self._memory[begin + _LENGTH.size : begin + _LENGTH.size + min(length, ROOM)]
            # The next one goes to the other half; only the one after that has changed what was read.
            if self._state(place)[1] - count <= 1:
                return decoded(data)
        return Tally()

    def all(self) -> list[Tally]:
        """Read all of it, what workers have left behind too."""
        return [self.read(place) for place in range(self._places)]

    def _half(self, place: int, count: int) -> int:
        return place * _PLACE + mmap.PAGESIZE + (count % 2) * ROOM

    def _state(self, place: int) -> tuple[int, int]:
        begin = place * _PLACE
        there, count = _STATE.unpack(self._memory[begin : begin + _STATE.size])
        return there, count

    def _put(self, place: int, there: int, count: int) -> None:
        begin = place * _PLACE
        self._memory[begin : begin + _STATE.size] = _STATE.pack(there, count & 0xFFFF_FFFF)
