"""Counters of one worker.

They are plain numbers, so that counting costs almost nothing; as bytes they are passed to the other workers.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

import msgspec

from app.http.observer import Gauges
from app.telemetry.metrics import BUCKETS

# Method, status class ("2"), protocol, format.
Key = tuple[str, str, str, str]


class Durations(msgspec.Struct):
    """Request durations: requests per bucket of `BUCKETS` (not cumulative) and above the last; the sum in seconds."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


class Tally(msgspec.Struct):
    """Counts of one worker since the service was started; a worker that replaces another continues with its counts."""

    requests: dict[Key, int] = msgspec.field(default_factory=dict)
    durations: dict[str, Durations] = msgspec.field(default_factory=dict)
    refusals: dict[str, int] = msgspec.field(default_factory=dict)
    calls: dict[tuple[str, str], int] = msgspec.field(default_factory=dict)  # gRPC calls by method and code
    connections: int = 0
    received: int = 0
    sent: int = 0
    dropped: int = 0
    starts: int = 0
    now: Gauges = msgspec.field(default_factory=Gauges)

    def answered(self, key: Key, seconds: float) -> None:
        """Count a finished request."""
        requests, durations = self.requests, self.durations.get(key[2])
        requests[key] = requests.get(key, 0) + 1
        if durations is None:
            durations = self.durations[key[2]] = Durations()
        durations.counts[bisect_left(BUCKETS, seconds)] += 1
        durations.seconds += seconds

    def called(self, key: tuple[str, str]) -> None:
        """Count a finished gRPC call."""
        self.calls[key] = self.calls.get(key, 0) + 1

    def refused(self, reason: str) -> None:
        """Count a rejection."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Tally).decode


def encoded(tally: Tally) -> bytes:
    """Encode a tally as bytes."""
    return _encode(tally)


def decoded(data: bytes) -> Tally:
    """Decode a tally; empty bytes are an empty tally."""
    return _decode(data) if data else Tally()


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of the tallies."""
    sum_ = Tally()
    for tally in tallies:
        for key, count in tally.requests.items():
            sum_.requests[key] = sum_.requests.get(key, 0) + count
        for protocol, durations in tally.durations.items():
            so_far = sum_.durations.setdefault(protocol, Durations())
            so_far.counts = [a + b for a, b in zip(so_far.counts, durations.counts, strict=True)]
            so_far.seconds += durations.seconds
        for call, count in tally.calls.items():
            sum_.calls[call] = sum_.calls.get(call, 0) + count
        for reason, count in tally.refusals.items():
            sum_.refusals[reason] = sum_.refusals.get(reason, 0) + count
        for name in ("connections", "received", "sent", "dropped", "starts"):
            setattr(sum_, name, getattr(sum_, name) + getattr(tally, name))
        for name in Gauges.__struct_fields__:
            setattr(sum_.now, name, getattr(sum_.now, name) + getattr(tally.now, name))
    return sum_
