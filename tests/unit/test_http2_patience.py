"""Limits on HTTP/2 frames that cost work without useful requests."""

import pytest

from app.server.http2.flood_guard import FloodGuard
from app.server.http2.frames import ErrorCode, Http2ConnectionError

WINDOW_UPDATES = 2 * 13  # bytes: of a stream and of the connection


def taken(patience: FloodGuard, useful: int, idle: int) -> int:
    """Return how often so many bytes of both kinds are accepted, up to a hundred thousand times."""
    for times in range(100_000):
        patience.useful_bytes += useful
        try:
            patience.count_overhead_bytes(idle)
        except Http2ConnectionError as error:
            return times if error.code is ErrorCode.ENHANCE_YOUR_CALM else -1
    return 100_000


@pytest.mark.parametrize(
    ("useful", "idle", "times"),
    [
        (1000, WINDOW_UPDATES, 100_000),
        (4, WINDOW_UPDATES, 100_000),
        (3, WINDOW_UPDATES, (1 << 18) // 2),
        (1, WINDOW_UPDATES, (1 << 18) // 18),
        (0, 9, (1 << 18) // 9),
        (0, 9 + 16_384, (1 << 18) // (9 + 16_384)),
    ],
    ids=["a usual download", "four bytes each", "three bytes each", "byte by byte", "small frames", "large frames"],
)
def test_other_frames_are_taken_in_proportion(useful: int, idle: int, times: int) -> None:
    """Other frames are accepted in proportion to data (CVE-2019-9511).

    A client that acknowledges data by window updates may continue forever; one that sends little else may not.
    """
    assert taken(FloodGuard(lambda: 0.0), useful, idle) == min(times, 100_000)


def test_patience_for_what_only_costs_comes_back_with_time() -> None:
    """Patience for costly frames recovers with time: a thousand at once, fifty per second."""
    now = 0.0
    patience = FloodGuard(lambda: now)
    for _ in range(1000):
        patience.count_overhead_frame("frames")
    with pytest.raises(Http2ConnectionError, match="too many frames"):
        patience.count_overhead_frame("frames")
    now = 10.0
    for _ in range(499):
        patience.count_overhead_frame("frames")
    with pytest.raises(Http2ConnectionError, match="too many frames"):
        patience.count_overhead_frame("frames")
        patience.count_overhead_frame("frames")
