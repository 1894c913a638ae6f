"""The corpus of odd and malformed requests (cases/README.md).

The files in `cases` are parsed and validated.
"""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

CASES = Path(__file__).parent / "cases"

ErrorCode = Literal[
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "FLOW_CONTROL_ERROR",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "ENHANCE_YOUR_CALM",
]


class Repeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same text many times; `{n}` in it is replaced by the number of the repetition."""

    repeat: str
    times: int


class RepeatedField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same header many times; `{n}` in its value is replaced by the number of the repetition."""

    repeat: tuple[str, str]
    times: int


Text = list[str | Repeat]
FieldList = list[tuple[str, str] | RepeatedField]
Pairs = list[tuple[bytes, bytes]]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The properties of a case that both protocols share.

    `rfc` is the section that requires the behaviour, `what` describes it. `says` is part of the reason of a rejection,
    `answer` the whole body of another response, `shows` some fields of a reflection, `counts` the lengths of some of
    its lists. `settings` are the echo's settings that differ from the default. `proxies` says, by the name of a proxy,
    why its client does not get the response that the echo sends.
    """

    rfc: str
    what: str
    says: str = ""
    answer: str | None = None
    shows: dict[str, object] = {}
    counts: dict[str, int] = {}
    settings: dict[str, int] = {}
    proxies: dict[str, str] = {}


class Http1Case(Case, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An HTTP/1.1 request, the status of its response, and whether the connection is closed after it."""

    protocol: Literal["HTTP/1.1"] = "HTTP/1.1"
    send: Text
    status: int
    closes: bool | None = None

    @property
    def ends(self) -> bool:
        """Whether the connection is closed: a rejection closes it unless the case says otherwise."""
        return self.refused if self.closes is None else self.closes

    @property
    def refused(self) -> bool:
        """Whether the request is rejected: an error status without a reflection."""
        return self.status >= 400 and not self.shows


class RawFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An HTTP/2 frame, sent `times` times; for HEADERS and similar types, `fields` may replace the payload."""

    type: str | int
    stream: int
    flags: list[str] | int = 0
    payload: str | Text = ""
    fields: FieldList | None = None
    times: int = 1


class Http2Case(Case, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The frames that an HTTP/2 client sends, and the outcome for stream 1 and the connection.

    `frames` are sent first, then, on stream 1, the request made of `fields`, `data` (one DATA frame each) and
    `trailers`; `ends` says whether the stream is closed by the client. `opens` replaces the connection preface.

    `status` is the status of the response; `reset` and `goaway` are error codes; `error` is an error code that may
    arrive either way, as RFC 9113, 5.4.1 allows both. If neither arrives, the connection stays open.
    """

    protocol: Literal["HTTP/2"]
    opens: str | None = None
    frames: list[RawFrame] = []
    fields: FieldList | None = None
    data: Text = []
    trailers: FieldList | None = None
    ends: bool = True
    status: int | None = None
    reset: ErrorCode | None = None
    goaway: ErrorCode | None = None
    error: ErrorCode | None = None

    @property
    def refused(self) -> bool:
        """Whether the response is an error."""
        return (self.status or 0) >= 400


def wire(text: str | Text) -> bytes:
    """Encode a text, one byte per character, as Latin-1."""
    pieces = [text] if isinstance(text, str) else text
    return b"".join(map(_piece, pieces))


def _piece(piece: str | Repeat) -> bytes:
    if isinstance(piece, str):
        return piece.encode("latin-1")
    return "".join(piece.repeat.replace("{n}", str(number)) for number in range(piece.times)).encode("latin-1")


def pairs(fields: FieldList) -> Pairs:
    """Return the headers of a list, as bytes."""
    return [pair for each in fields for pair in _fields(each)]


def _fields(each: tuple[str, str] | RepeatedField) -> Pairs:
    if isinstance(each, RepeatedField):
        name, value = each.repeat
        return [(wire(name), wire(value.replace("{n}", str(number)))) for number in range(each.times)]
    name, value = each
    return [(wire(name), wire(value))]


def read(path: Path) -> Http1Case | Http2Case:
    """Read a file. Raises `ValueError` with the file's name and the error."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        if raw.get("protocol") == "HTTP/2":
            return msgspec.convert(raw, Http2Case)
        return msgspec.convert(raw, Http1Case)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def names() -> dict[str, Path]:
    """Return the files of the corpus by name, which is the path without its suffix."""
    return {str(path.relative_to(CASES).with_suffix("")): path for path in sorted(CASES.rglob("*.toml"))}


_ALL = {name: read(path) for name, path in names().items()}
HTTP1 = {name: case for name, case in _ALL.items() if isinstance(case, Http1Case)}
HTTP2 = {name: case for name, case in _ALL.items() if isinstance(case, Http2Case)}
