"""What the carrier tells of a request that was answered, to whoever counts and logs."""

import msgspec

from app.http.controls_report import Applied
from app.http.request import ConnectionInfo, WireRequest


class Answered(msgspec.Struct, frozen=True, gc=False):
    """One request, and how it was answered.

    `request` is without its body, of which `received` bytes came: who watches may keep some of these for a moment. It
    stands for one that could not be read where it has no target. `status` has the code first; `about` is what the
    application tells of the answer, None where it was not asked. `seconds` passed since the head had come; `sent` are
    bytes of the answer's body, which is `whole` unless it was cut. `protocol` is what was upgraded to, `why` is why it
    was refused.
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
    """What the application tells of an answer: its form's name, the request's id, its time (POSIX), what was applied.

    Not the request: an answer may take its time, and its body's memory is not kept for that.
    """

    form: str
    id: str
    now: float
    applied: Applied
