"""The context of a response: everything that it is built from."""

import msgspec

from app.config.policy import Policy
from app.http.controls_report import EMPTY_REPORT, ControlsReport
from app.http.request import ConnectionInfo, HttpRequest
from app.http.timestamp import format_rfc3339


class Context(msgspec.Struct, frozen=True):
    """A request, its connection, and the policy of the server that responds.

    `id` is the request ID; `now` is POSIX time in seconds; `pretty` means that JSON is indented.
    """

    request: HttpRequest
    connection: ConnectionInfo
    policy: Policy
    id: str
    now: float
    controls_report: ControlsReport = EMPTY_REPORT
    pretty: bool = True

    @property
    def time(self) -> str:
        """The time in RFC 3339 format, in UTC, with milliseconds."""
        return format_rfc3339(self.now)
