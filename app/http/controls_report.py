"""Report of the controls in a request: applied and rejected."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType


class AppliedControl(msgspec.Struct, frozen=True):
    """Applied control.

    `name` is the control's, `value` and `source` are as in the request. `chosen` is the effect if the value leaves it
    open: the status chosen from a list, the seconds chosen from a range.
    """

    name: str
    value: str
    source: Literal["query", "header"]
    chosen: Any | UnsetType = msgspec.field(name="done", default=UNSET)


class RejectedControl(msgspec.Struct, frozen=True):
    """Rejected control, with the reason.

    `name` is as in the request, `value` is shortened; `bound` says what is accepted.
    """

    name: str
    value: str
    source: Literal["query", "header"]
    reason: str
    bound: str = ""


class ControlsReport(msgspec.Struct, frozen=True):
    """All controls of a request.

    Those in headers are first, then those in the query, each in the order received.
    """

    granted: tuple[AppliedControl, ...] = ()
    refused: tuple[RejectedControl, ...] = ()


EMPTY_REPORT = ControlsReport()
