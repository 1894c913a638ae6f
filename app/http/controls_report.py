"""What a client asked of the answer, what it got, and what was refused and why: values to be shown."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType


class Granted(msgspec.Struct, frozen=True):
    """One wish that was met: its control's `name`, the `value` that was asked for, where it came.

    `done` is what was done where the value leaves it open: the status of several, the seconds of a range.
    """

    name: str
    value: str
    source: Literal["query", "header"]
    done: Any | UnsetType = UNSET


class Refused(msgspec.Struct, frozen=True):
    """One wish that was not: as it came, its value shortened, and the `reason`; `bound` says what may be asked for."""

    name: str
    value: str
    source: Literal["query", "header"]
    reason: str
    bound: str = ""


class Applied(msgspec.Struct, frozen=True):
    """All that was asked for: by fields, then by the query, each in the order in which it came."""

    granted: tuple[Granted, ...] = ()
    refused: tuple[Refused, ...] = ()


NOTHING = Applied()
