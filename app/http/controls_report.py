"""Report of the controls in a request: applied and rejected."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType


class Granted(msgspec.Struct, frozen=True):
    """Applied control.

    `name` is the control's, `value` and `source` are as in the request. `done` is the effect if the value leaves it
    open: the status chosen from a list, the seconds chosen from a range.
    """

    name: str
    value: str
    source: Literal["query", "header"]
    done: Any | UnsetType = UNSET


class Refused(msgspec.Struct, frozen=True):
    """Rejected control, with the reason.

    `name` is as in the request, `value` is shortened; `bound` says what is accepted.
    """

    name: str
    value: str
    source: Literal["query", "header"]
    reason: str
    bound: str = ""


class Applied(msgspec.Struct, frozen=True):
    """All controls of a request.

    Those in headers are first, then those in the query, each in the order received.
    """

    granted: tuple[Granted, ...] = ()
    refused: tuple[Refused, ...] = ()


NOTHING = Applied()
