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

from app.telemetry.counters import Counters, decode_counters, encode_counters

# Maximum size of a tally in bytes: all methods, classes, protocols and formats together are half of it (checked by a
# test). Memory that was never written to is not allocated.
MAX_COUNTERS_SIZE: Final = 1 << 18
_SLOT_SIZE: Final = mmap.PAGESIZE + 2 * MAX_COUNTERS_SIZE
# Whether a worker uses the slot, and the number of writes: eight bytes, copied in one piece by slice assignment.
# `pack_into` writes zeros first, so another process could read a partial value; so it could with byte-wise writes.
_HEADER: Final = struct.Struct("=II")
_LENGTH: Final = struct.Struct("=I")
_READ_ATTEMPTS: Final = 10


class SharedMetrics:
    """Slots for tallies, each used by one worker at a time.

    A slot has two halves, written in turn; a half becomes current when it is complete. If a worker is killed during a
    write, its previous tally stays.
    """

    def __init__(self, slot_count: int) -> None:
        self._slot_count = slot_count
        self._memory = mmap.mmap(-1, slot_count * _SLOT_SIZE)

    def acquire_slot(self) -> int | None:
        """Reserve a free slot and return its index, or None if there is none."""
        for slot in range(self._slot_count):
            is_used, write_count = self._read_header(slot)
            if not is_used:
                self._write_header(slot, 1, write_count)
                return slot
        return None

    def release_slot(self, slot: int) -> None:
        """Free a slot for the next worker; its counters stay, its gauges are reset."""
        counters = self.read_slot(slot)
        counters.gauges = type(counters.gauges)()
        self.write_slot(slot, counters)
        self._write_header(slot, 0, self._read_header(slot)[1])

    def write_slot(self, slot: int, counters: Counters) -> None:
        """Write a worker's tally; one that is too large is not written, and the previous one stays."""
        data = encode_counters(counters)
        if len(data) > MAX_COUNTERS_SIZE - _LENGTH.size:
            return
        is_used, write_count = self._read_header(slot)
        offset = self._buffer_offset(slot, write_count + 1)
        self._memory[offset : offset + _LENGTH.size + len(data)] = _LENGTH.pack(len(data)) + data
        self._write_header(slot, is_used, write_count + 1)

    def read_slot(self, slot: int) -> Counters:
        """Return the tally written last."""
        for _ in range(_READ_ATTEMPTS):
            _, write_count = self._read_header(slot)
            if not write_count:
                break
            offset = self._buffer_offset(slot, write_count)
            (length,) = _LENGTH.unpack_from(self._memory, offset)
            data = self._memory[offset + _LENGTH.size : offset + _LENGTH.size + min(length, MAX_COUNTERS_SIZE)]
            # The next write goes to the other half; only the one after it changes what was read.
            if self._read_header(slot)[1] - write_count <= 1:
                return decode_counters(data)
        return Counters()

    def read_all_slots(self) -> list[Counters]:
        """Return all tallies, including those of workers that have exited."""
        return [self.read_slot(slot) for slot in range(self._slot_count)]

    def _buffer_offset(self, slot: int, write_count: int) -> int:
        return slot * _SLOT_SIZE + mmap.PAGESIZE + (write_count % 2) * MAX_COUNTERS_SIZE

    def _read_header(self, slot: int) -> tuple[int, int]:
        offset = slot * _SLOT_SIZE
        is_used, write_count = _HEADER.unpack(self._memory[offset : offset + _HEADER.size])
        return is_used, write_count

    def _write_header(self, slot: int, is_used: int, write_count: int) -> None:
        offset = slot * _SLOT_SIZE
        self._memory[offset : offset + _HEADER.size] = _HEADER.pack(is_used, write_count & 0xFFFF_FFFF)
