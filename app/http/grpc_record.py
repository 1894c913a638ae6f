"""What is told of a call, beside what is told of any answer."""

import msgspec

from app.echo.context import About


class Ending:
    """How a call has ended: by the name of a code, which is CANCELLED where the client has not waited for another."""

    __slots__ = ("code",)

    def __init__(self) -> None:
        self.code = "CANCELLED"


class Called(About, frozen=True):
    """What the application tells of a call: also its method, by a name of ours, and how it ends, once it has ended."""

    method: str
    ending: Ending = msgspec.field(default_factory=Ending)
