"""Timestamps in RFC 3339 format."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=2)
def _format_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=2)
def _format_milliseconds(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{_format_seconds(seconds)}.{fraction:03d}Z"


def format_rfc3339(now: float) -> str:
    """Format POSIX seconds as an RFC 3339 timestamp, in UTC, with milliseconds."""
    return _format_milliseconds(round(now * 1000))
