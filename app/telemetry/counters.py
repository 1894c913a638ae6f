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
RequestKey = tuple[str, str, str, str]


class Histogram(msgspec.Struct):
    """Request durations: requests per bucket of `BUCKETS` (not cumulative) and above the last; the sum in seconds."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


class Counters(msgspec.Struct):
    """Counts of one worker since the service was started; a worker that replaces another continues with its counts."""

    requests: dict[RequestKey, int] = msgspec.field(default_factory=dict)
    durations: dict[str, Histogram] = msgspec.field(default_factory=dict)
    rejections: dict[str, int] = msgspec.field(default_factory=dict)
    grpc_calls: dict[tuple[str, str], int] = msgspec.field(default_factory=dict)  # gRPC calls by method and code
    connections: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    dropped_lines: int = 0
    worker_starts: int = 0
    gauges: Gauges = msgspec.field(default_factory=Gauges)

    def count_request(self, key: RequestKey, seconds: float) -> None:
        """Count a finished request."""
        requests, durations = self.requests, self.durations.get(key[2])
        requests[key] = requests.get(key, 0) + 1
        if durations is None:
            durations = self.durations[key[2]] = Histogram()
        durations.counts[bisect_left(BUCKETS, seconds)] += 1
        durations.seconds += seconds

    def count_call(self, key: tuple[str, str]) -> None:
        """Count a finished gRPC call."""
        self.grpc_calls[key] = self.grpc_calls.get(key, 0) + 1

    def count_rejection(self, reason: str) -> None:
        """Count a rejection."""
        self.rejections[reason] = self.rejections.get(reason, 0) + 1


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Counters).decode


def encode_counters(counters: Counters) -> bytes:
    """Encode a tally as bytes."""
    return _encode(counters)


def decode_counters(data: bytes) -> Counters:
    """Decode a tally; empty bytes are an empty tally."""
    return _decode(data) if data else Counters()


def sum_counters(all_counters: Iterable[Counters]) -> Counters:
    """Return the sum of the tallies."""
    result = Counters()
    for counters in all_counters:
        for key, count in counters.requests.items():
            result.requests[key] = result.requests.get(key, 0) + count
        for protocol, durations in counters.durations.items():
            histogram = result.durations.setdefault(protocol, Histogram())
            histogram.counts = [
                summed + added for summed, added in zip(histogram.counts, durations.counts, strict=True)
            ]
            histogram.seconds += durations.seconds
        for call, count in counters.grpc_calls.items():
            result.grpc_calls[call] = result.grpc_calls.get(call, 0) + count
        for reason, count in counters.rejections.items():
            result.rejections[reason] = result.rejections.get(reason, 0) + count
        for name in ("connections", "received_bytes", "sent_bytes", "dropped_lines", "worker_starts"):
            setattr(result, name, getattr(result, name) + getattr(counters, name))
        for name in Gauges.__struct_fields__:
            setattr(result.gauges, name, getattr(result.gauges, name) + getattr(counters.gauges, name))
    return result
