"""Types of the settings: limits, and the parser of their values."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from app.http.quantities import DURATION, SIZE, Quantity

_QUANTITY: Final = "quantity"
_SIZE: Final = {_QUANTITY: SIZE}
_DURATION: Final = {_QUANTITY: DURATION}

Address = Annotated[str, Meta(min_length=1)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Workers = Annotated[int, Meta(ge=1, le=256)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
HeaderCount = Annotated[int, Meta(ge=1, le=10_000)]
Streams = Annotated[int, Meta(ge=1, le=10_000)]
Requests = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Events = Annotated[int, Meta(ge=1, le=86_400)]
Seconds = Annotated[float, Meta(gt=0, le=3600, extra=_DURATION)]
LongSeconds = Annotated[float, Meta(gt=0, le=604_800, extra=_DURATION)]
Bytes = Annotated[int, Meta(ge=0, le=1 << 40, extra=_SIZE)]
HeaderBytes = Annotated[int, Meta(ge=1024, le=1 << 20, extra=_SIZE)]
MessageBytes = Annotated[int, Meta(ge=1024, le=1 << 30, extra=_SIZE)]
BudgetBytes = Annotated[int, Meta(ge=1 << 20, le=1 << 40, extra=_SIZE)]
BytesPerSecond = Annotated[int, Meta(ge=1, le=1 << 30, extra=_SIZE)]
Switch = Literal["off", "on"]


def quantity(type_: Any) -> Quantity | None:
    """Return what the values of a type of setting are: sizes, durations, or None for neither."""
    for meta in getattr(type_, "__metadata__", ()):
        if meta.extra and _QUANTITY in meta.extra:
            result: Quantity = meta.extra[_QUANTITY]
            return result
    return None


def convert(text: str, type_: Any) -> Any:
    """Parse a setting of a type. Raise `ValueError` with what is accepted if it is invalid or out of range."""
    kind = quantity(type_)
    try:
        return msgspec.convert(kind.parse(text) if kind else text, type_, strict=False)
    except ValueError:  # msgspec.ValidationError is a subclass; its messages name Python types
        raise ValueError(_accepted_values(type_, kind)) from None


def _accepted_values(type_: Any, kind: Quantity | None) -> str:
    schema = msgspec.json.schema(type_)
    if "enum" in schema:
        return "must be one of " + ", ".join(schema["enum"])
    if schema["type"] == "string":
        return "must not be empty"
    if kind is None:
        return f"must be a whole number from {schema['minimum']} to {schema['maximum']}"
    maximum = kind.format(schema["maximum"])
    if "exclusiveMinimum" in schema:
        return f"must be a {kind.name} above {schema['exclusiveMinimum']}, at most {maximum}: {kind.examples}"
    return f"must be a {kind.name} from {kind.format(schema['minimum'])} to {maximum}: {kind.examples}"
