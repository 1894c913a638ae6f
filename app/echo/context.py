"""All that an answer may be made of, as one value."""

from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

import msgspec

from app.config.downward_api import Identity
from app.http.controls_report import NOTHING, Applied
from app.http.headers.jwt import Verify
from app.http.request import ConnectionInfo, WireRequest


class Limits(msgspec.Struct, frozen=True):
    """What a client may ask for in another echo's dialect: of the controls that do the same, those that are `allowed`.

    `max_delay` is in seconds, `max_size` in bytes.
    """

    max_delay: float = 60.0
    max_size: int = 1 << 30
    allowed: frozenset[str] = frozenset(("status", "delay", "header", "size", "redirect"))


class Policy(msgspec.Struct, frozen=True):
    """What the operator has set of how requests are shown.

    `port` is the echo's own. `trusted` are the networks whose proxies are believed. A token is looked for in
    Authorization and in `jwt_fields` (lower case); `verify` knows the keys, where there are any. `unlogged` are the
    fields (lower case) whose values no log shows, `hidden` those that no answer shows.
    """

    identity: Identity
    port: int = 8080
    trusted: tuple[IPv4Network | IPv6Network, ...] = ()
    jwt_fields: frozenset[str] = frozenset()
    show_passwords: bool = False
    limits: Limits = Limits()
    verify: Verify | None = None
    unlogged: frozenset[bytes] = frozenset()
    hidden: frozenset[bytes] = frozenset()


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


class Context(msgspec.Struct, frozen=True):
    """One request, how it came, and who answers.

    `id` is the request's; `now` is POSIX time in seconds. `pretty` tells that JSON is for people.
    """

    request: WireRequest
    connection: ConnectionInfo
    policy: Policy
    id: str
    now: float
    applied: Applied = NOTHING
    pretty: bool = True

    @property
    def time(self) -> str:
        """The time as RFC 3339 has it, in UTC, to the millisecond."""
        return time_of(self.now)


class About(msgspec.Struct, frozen=True):
    """What the application tells of an answer: its form's name, the request's id, its time (POSIX), what was applied.

    Not the request: an answer may take its time, and its body's memory is not kept for that.
    """

    form: str
    id: str
    now: float
    applied: Applied
