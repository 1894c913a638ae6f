"""Timestamps as RFC 3339 has them."""

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
    """Give POSIX time as RFC 3339 has it, in UTC, to the millisecond."""
    return _millisecond(round(now * 1000))
