"""Flood guard: limits on frames without a request (RFC 9113, 10.5)."""

from collections.abc import Callable
from typing import Final

from app.server.http2.frames import ErrorCode, Http2ConnectionError

# Limits on frames that cost us work and lead to no response: a burst of each kind, and a rate per second afterwards.
# They are PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA, and those that we reject with a reset. RFC 9113, 10.5;
# CVE-2023-44487 used RST_STREAM. They are counted by kind, because well-behaved clients send pairs: Go's sends a PING
# with the RST_STREAM of a request that it cancels.
_NUISANCES: Final = 1000
_NUISANCES_A_SECOND: Final = 50
# Bytes of heads and bodies after which a PING is not counted. Clients send one in each round trip to measure the
# bandwidth-delay product (BDP of gRPC and hyper), as long as data is in flight. On a fast network that is thousands a
# second. The smallest gRPC call takes some fifty bytes in both directions, and Go's client sends a PING after each.
_MEASURED: Final = 32
# Limit on bytes of frames that carry no request or response (WINDOW_UPDATE, padding, unknown types, acknowledgements).
# It is a factor of the bytes of heads and bodies in both directions, and a constant. A client that lets us send byte by
# byte (CVE-2019-9511) spends thirteen for one.
_IDLE_BYTES_FOR_EACH: Final = 8
_IDLE_BYTES: Final = 1 << 18


class Patience:
    """Counter of overhead frames, with an allowance that grows with time, and with requests and responses."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.useful = 0  # bytes of heads and bodies, received and sent
        self._idle = 0  # bytes of other frames
        self._clock = clock
        self._measured = 0  # value of `useful` at the last PING that was not counted
        self._lost: dict[str, tuple[float, float]] = {}  # count of each kind, and the time of that count

    def lose(self, what: str) -> None:
        """Count one more overhead frame. Raise `Http2ConnectionError` above the limit."""
        now = self._clock()
        before, at = self._lost.get(what, (0.0, now))
        lost = max(0.0, before - (now - at) * _NUISANCES_A_SECOND) + 1
        self._lost[what] = lost, now
        if lost > _NUISANCES:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"too many {what}")

    def ping(self) -> None:
        """Count a PING, unless enough was requested and answered since the last free one."""
        if self.useful - self._measured >= _MEASURED:
            self._measured = self.useful
        else:
            self.lose("PING frames")

    def idle(self, size: int) -> None:
        """Count bytes of overhead. Raise `Http2ConnectionError` above the limit."""
        self._idle += size
        if self._idle > _IDLE_BYTES + _IDLE_BYTES_FOR_EACH * self.useful:
            raise Http2ConnectionError(
                ErrorCode.ENHANCE_YOUR_CALM, "too many bytes in frames that carry no request or response"
            )
