"""How much a client may cost without asking anything (RFC 9113, 10.5)."""

from collections.abc import Callable
from typing import Final

from app.server.http2.frames import ErrorCode, Http2ConnectionError

# What costs us and leads to no answer (PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA, and what has to be reset from
# here): so much of each kind at once, and so much a second from then on. RFC 9113, 10.5; CVE-2023-44487 did it with
# RST_STREAM. By kinds, since honest clients have pairs of them: Go's sends a PING with the RST_STREAM of a request that
# it cancels.
_NUISANCES: Final = 1000
_NUISANCES_A_SECOND: Final = 50
# Bytes of heads and bodies behind which a PING is none: clients measure with one in each round trip how much is under
# way (gRPC's and hyper's BDP), which on a fast network is thousands a second, as long as there is something under way.
# The smallest call of gRPC takes half a hundred in both directions, and Go's client sends a PING behind each.
_MEASURED: Final = 32
# Bytes of frames that say nothing of requests and answers (WINDOW_UPDATE, padding, unknown types, acknowledgements):
# so many for each byte of heads and bodies, in both directions, and so many more. A client that lets us send byte by
# byte (CVE-2019-9511) spends thirteen for one.
_IDLE_BYTES_FOR_EACH: Final = 8
_IDLE_BYTES: Final = 1 << 18


class Patience:
    """Runs out with frames that only cost, and comes back with time, or with what is asked and answered."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.useful = 0  # bytes of heads and bodies, taken and sent
        self._idle = 0  # bytes of other frames
        self._clock = clock
        self._measured = 0  # how much was useful when a PING was no nuisance
        self._lost: dict[str, tuple[float, float]] = {}  # of each kind, and when it was so much

    def lose(self, what: str) -> None:
        """Count one more frame that costs. Raises `Http2ConnectionError` when there were too many."""
        now = self._clock()
        before, at = self._lost.get(what, (0.0, now))
        lost = max(0.0, before - (now - at) * _NUISANCES_A_SECOND) + 1
        self._lost[what] = lost, now
        if lost > _NUISANCES:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"too many {what}")

    def ping(self) -> None:
        """Count a PING, unless enough was asked and answered since another one."""
        if self.useful - self._measured >= _MEASURED:
            self._measured = self.useful
        else:
            self.lose("PING frames")

    def idle(self, size: int) -> None:
        """Count bytes that say nothing. Raises `Http2ConnectionError` when there were too many."""
        self._idle += size
        if self._idle > _IDLE_BYTES + _IDLE_BYTES_FOR_EACH * self.useful:
            raise Http2ConnectionError(
                ErrorCode.ENHANCE_YOUR_CALM, "too many bytes in frames that carry no request or response"
            )
