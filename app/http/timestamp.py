"""Timestamps in RFC 3339 format."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=2)
def _second(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=2)
def _millisecond(now: int) -> str:
    second, milliseconds = divmod(now, 1000)
    return f"{_second(second)}.{milliseconds:03d}Z"


def time_of(now: float) -> str:
    """Format POSIX seconds as an RFC 3339 timestamp, in UTC, with milliseconds."""
    return _millisecond(round(now * 1000))
