"""Record of a finished request, for logs, metrics and traces."""

import msgspec

from app.http.controls_report import ControlsReport
from app.http.request import ConnectionInfo, HttpRequest


class RequestRecord(msgspec.Struct, frozen=True, gc=False):
    """Finished request and its response.

    `request` has no body, since an observer may keep records for a moment; `received_bytes` is the number of body bytes
    received. A request without a target is a placeholder for one that could not be parsed. `status` begins with the
    code; `response_info` is the application's information about the response, None if the application was not called.
    `seconds` is the time since the end of the request head. `sent_bytes` is the number of bytes of the response body
    sent; `is_complete` is false if that body was cut off. `protocol` is the protocol after an upgrade, `error` the
    reason of a rejection.
    """

    request: HttpRequest
    connection: ConnectionInfo
    status: str
    response_info: object
    seconds: float
    sent_bytes: int
    received_bytes: int
    is_complete: bool = True
    protocol: str = ""
    error: str = ""


class ResponseInfo(msgspec.Struct, frozen=True):
    """Application's information about a response: format, request id, time (POSIX seconds) and applied controls.

    The request is not part of it: a response may take long, and the memory of its body is not kept for that.
    """

    format: str
    id: str
    now: float
    controls_report: ControlsReport


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
