"""Record of a finished request, for logs, metrics and traces."""

import msgspec

from app.http.controls_report import Applied
from app.http.request import ConnectionInfo, WireRequest


class Answered(msgspec.Struct, frozen=True, gc=False):
    """Finished request and its response.

    `request` has no body, since an observer may keep records for a moment; `received` is the number of body bytes
    received. A request without a target is a placeholder for one that could not be parsed. `status` begins with the
    code; `about` is the application's information about the response, None if the application was not called. `seconds`
    is the time since the end of the request head. `sent` is the number of bytes of the response body sent; `whole` is
    false if that body was cut off. `protocol` is the protocol after an upgrade, `why` the reason of a rejection.
    """

    request: WireRequest
    connection: ConnectionInfo
    status: str
    about: object
    seconds: float
    sent: int
    received: int
    whole: bool = True
    protocol: str = ""
    why: str = ""


class About(msgspec.Struct, frozen=True):
    """Application's information about a response: format, request id, time (POSIX seconds) and applied controls.

    The request is not part of it: a response may take long, and the memory of its body is not kept for that.
    """

    form: str
    id: str
    now: float
    applied: Applied
