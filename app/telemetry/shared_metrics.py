"""Shared memory for the workers' counters.

Every worker writes its counters here, so that any worker can return the sum. The arbiter allocates the memory before it
forks the workers. `prometheus_client` would share values by files
(https://prometheus.github.io/client_python/multiprocess/), and SIGBUS ends a process that writes to a file in a full
`/dev/shm`. A worker that replaces another takes over its slot too: no counter restarts, and the memory does not grow
with the number of workers ever started.
"""

import mmap
import struct
from typing import Final

from app.telemetry.counters import Tally, decoded, encoded

# Maximum size of a tally in bytes: all methods, classes, protocols and formats together are half of it (checked by a
# test). Memory that was never written to is not allocated.
ROOM: Final = 1 << 18
_PLACE: Final = mmap.PAGESIZE + 2 * ROOM
# Whether a worker uses the slot, and the number of writes: eight bytes, copied in one piece by slice assignment.
# `pack_into` writes zeros first, so another process could read a partial value; so it could with byte-wise writes.
_STATE: Final = struct.Struct("=II")
_LENGTH: Final = struct.Struct("=I")
_TRIES: Final = 10


class Board:
    """Slots for tallies, each used by one worker at a time.

    A slot has two halves, written in turn; a half becomes current when it is complete. If a worker is killed during a
    write, its previous tally stays.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._memory = mmap.mmap(-1, places * _PLACE)

    def take(self) -> int | None:
        """Reserve a free slot and return its index, or None if there is none."""
        for place in range(self._places):
            there, count = self._state(place)
            if not there:
                self._put(place, 1, count)
                return place
        return None

    def leave(self, place: int) -> None:
        """Free a slot for the next worker; its counters stay, its gauges are reset."""
        tally = self.read(place)
        tally.now = type(tally.now)()
        self.write(place, tally)
        self._put(place, 0, self._state(place)[1])

    def write(self, place: int, tally: Tally) -> None:
        """Write a worker's tally; one that is too large is not written, and the previous one stays."""
        data = encoded(tally)
        if len(data) > ROOM - _LENGTH.size:
            return
        there, count = self._state(place)
        begin = self._half(place, count + 1)
        self._memory[begin : begin + _LENGTH.size + len(data)] = _LENGTH.pack(len(data)) + data
        self._put(place, there, count + 1)

    def read(self, place: int) -> Tally:
        """Return the tally written last."""
        for _ in range(_TRIES):
            _, count = self._state(place)
            if not count:
                break
            begin = self._half(place, count)
            (length,) = _LENGTH.unpack_from(self._memory, begin)
            data = self._memory[begin + _LENGTH.size : begin + _LENGTH.size + min(length, ROOM)]
            # The next write goes to the other half; only the one after it changes what was read.
            if self._state(place)[1] - count <= 1:
                return decoded(data)
        return Tally()

    def all(self) -> list[Tally]:
        """Return all tallies, including those of workers that have exited."""
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
