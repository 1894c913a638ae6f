"""Flood guard: limits on frames without a request (RFC 9113, 10.5)."""

from collections.abc import Callable
from typing import Final

from app.server.http2.frames import ErrorCode, Http2ConnectionError

# Limits on frames that cost us work and lead to no response: a burst of each kind, and a rate per second afterwards.
# They are PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA, and those that we reject with a reset. RFC 9113, 10.5;
# CVE-2023-44487 used RST_STREAM. They are counted by kind, because well-behaved clients send pairs: Go's sends a PING
# with the RST_STREAM of a request that it cancels.
_BURST: Final = 1000
_RATE: Final = 50
# Bytes of heads and bodies after which a PING is not counted. Clients send one in each round trip to measure the
# bandwidth-delay product (BDP of gRPC and hyper), as long as data is in flight. On a fast network that is thousands a
# second. The smallest gRPC call takes some fifty bytes in both directions, and Go's client sends a PING after each.
_USEFUL_BYTES_PER_PING: Final = 32
# Limit on bytes of frames that carry no request or response (WINDOW_UPDATE, padding, unknown types, acknowledgements).
# It is a factor of the bytes of heads and bodies in both directions, and a constant. A client that lets us send byte by
# byte (CVE-2019-9511) spends thirteen for one.
_OVERHEAD_FACTOR: Final = 8
_OVERHEAD_ALLOWANCE: Final = 1 << 18


class FloodGuard:
    """Counter of overhead frames, with an allowance that grows with time, and with requests and responses."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.useful_bytes = 0  # bytes of heads and bodies, received and sent
        self._overhead_bytes = 0  # bytes of other frames
        self._clock = clock
        self._useful_bytes_at_ping = 0  # value of `useful_bytes` at the last PING that was not counted
        self._counts: dict[str, tuple[float, float]] = {}  # count of each kind, and the time of that count

    def count_overhead_frame(self, kind: str) -> None:
        """Count one more overhead frame. Raise `Http2ConnectionError` above the limit."""
        now = self._clock()
        previous_count, counted_at = self._counts.get(kind, (0.0, now))
        count = max(0.0, previous_count - (now - counted_at) * _RATE) + 1
        self._counts[kind] = count, now
        if count > _BURST:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"too many {kind}")

    def count_ping(self) -> None:
        """Count a PING, unless enough was requested and answered since the last free one."""
        if self.useful_bytes - self._useful_bytes_at_ping >= _USEFUL_BYTES_PER_PING:
            self._useful_bytes_at_ping = self.useful_bytes
        else:
            self.count_overhead_frame("PING frames")

    def count_overhead_bytes(self, size: int) -> None:
        """Count bytes of overhead. Raise `Http2ConnectionError` above the limit."""
        self._overhead_bytes += size
        if self._overhead_bytes > _OVERHEAD_ALLOWANCE + _OVERHEAD_FACTOR * self.useful_bytes:
            raise Http2ConnectionError(
                ErrorCode.ENHANCE_YOUR_CALM, "too many bytes in frames that carry no request or response"
            )
