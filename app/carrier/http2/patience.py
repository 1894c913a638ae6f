"""How much a client may cost without asking anything (RFC 9113, 10.5)."""

from collections.abc import Callable
from typing import Final

from app.carrier.http2.frames import ErrorCode, Http2ConnectionError

# Frames that cost us and lead to no answer (PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA): so many at once, and so
# many a second from then on. RFC 9113, 10.5; CVE-2023-44487 did it with RST_STREAM.
_NUISANCES: Final = 1000
_NUISANCES_A_SECOND: Final = 50


class Patience:
    """Runs out with frames that only cost, and comes back with time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lost = 0.0
        self._lost_at = clock()

    def lose(self, what: str) -> None:
        """Count one more such frame. Raises `Http2ConnectionError` when there were too many."""
        now = self._clock()
        passed = (now - self._lost_at) * _NUISANCES_A_SECOND
        self._lost = max(0.0, self._lost - passed) + 1
        self._lost_at = now
        if self._lost > _NUISANCES:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"too many {what}")
