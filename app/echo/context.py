"""The context of a response: everything that it is built from."""

import msgspec

from app.config.policy import Policy
from app.http.controls_report import NOTHING, Applied
from app.http.request import ConnectionInfo, WireRequest
from app.http.timestamp import time_of


class Context(msgspec.Struct, frozen=True):
    """A request, its connection, and the policy of the server that responds.

    `id` is the request ID; `now` is POSIX time in seconds; `pretty` means that JSON is indented.
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
        """The time in RFC 3339 format, in UTC, with milliseconds."""
        return time_of(self.now)
