"""What is told of a call, beside what is told of any answer."""

import msgspec

from app.http.record import About


class Ending:
    """How a call has ended: a code, by name and number. It is CANCELLED where the client has not waited for another."""

    __slots__ = ("code", "number")

    def __init__(self) -> None:
        self.code = "CANCELLED"
        self.number = 1


class Called(About, frozen=True):
    """What the application tells of a call: also its method, by a name of ours, and how it ends, once it has ended."""

    method: str
    ending: Ending = msgspec.field(default_factory=Ending)
