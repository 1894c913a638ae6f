"""All that an answer may be made of, as one value."""

import msgspec

from app.config.policy import Policy
from app.http.controls_report import NOTHING, Applied
from app.http.request import ConnectionInfo, WireRequest
from app.http.timestamp import time_of


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
