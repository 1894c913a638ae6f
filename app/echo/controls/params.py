"""Typed parameters: the parsed value of each control."""

from typing import Literal

import msgspec

from app.echo.controls.values import DurationRange, WeightedChoice


class ControlParams(msgspec.Struct, frozen=True):
    """The control parameters of one request; each default is the behavior without the control.

    `header` and `cookie` are headers of the response; `delay` and `drip` are in seconds, `size` is in bytes.
    """

    format: str = ""
    pretty: bool | None = None
    status: WeightedChoice | None = None
    delay: DurationRange | None = None
    header: tuple[tuple[str, str], ...] = ()
    cookie: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    size: int | None = None
    drip: float = 0.0
    redirect: str = ""
    abort: Literal["", "before", "middle"] = ""
    fail_first: int = 0
    compress: str = ""
    count: int = 0
    seed: str = ""


NO_CONTROLS = ControlParams()
