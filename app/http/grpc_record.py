"""gRPC part of the record of a request."""

import msgspec

from app.http.record import ResponseInfo


class CallStatus:
    """Final status of a call: code name and number; CANCELLED if the client leaves before the call ends."""

    __slots__ = ("code", "number")

    def __init__(self) -> None:
        self.code = "CANCELLED"
        self.number = 1


class GrpcResponseInfo(ResponseInfo, frozen=True):
    """Response information of a gRPC call.

    In addition to that of any response: the method, by a name from a fixed list, and the final status, which is set
    when the call ends.
    """

    method: str
    call_status: CallStatus = msgspec.field(default_factory=CallStatus)
