"""The corpus of odd and malformed requests: what a file of `cases` says, read and checked (cases/README.md)."""

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
    """The same text many times; `{n}` in it is the number of each."""

    repeat: str
    times: int


class RepeatedField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same field many times; `{n}` in its value is the number of each."""

    repeat: tuple[str, str]
    times: int


Text = list[str | Repeat]
FieldList = list[tuple[str, str] | RepeatedField]
Pairs = list[tuple[bytes, bytes]]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the cases of both protocols say.

    `rfc` is the section that asks for it, `what` names it. `says` is part of the reason of a refusal, `answer` the
    whole body of another answer, `shows` some fields of a reflection, `counts` the lengths of some of its lists.
    `settings` are those of the echo that are not the default. `proxies` says of a proxy, by name, why its client does
    not get the answer that the echo gives it.
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
    """A request of HTTP/1.1, its answer's status, and whether the connection is closed after it."""

    protocol: Literal["HTTP/1.1"] = "HTTP/1.1"
    send: Text
    status: int
    closes: bool | None = None

    @property
    def ends(self) -> bool:
        """Whether the connection is closed: a refusal closes it, where the case does not say otherwise."""
        return self.refused if self.closes is None else self.closes

    @property
    def refused(self) -> bool:
        """Whether the request is, rather than answered with that status."""
        return self.status >= 400 and not self.shows


class RawFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frame of HTTP/2, sent so many `times`; of HEADERS and the like, `fields` may be the payload."""

    type: str | int
    stream: int
    flags: list[str] | int = 0
    payload: str | Text = ""
    fields: FieldList | None = None
    times: int = 1


class Http2Case(Case, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client of HTTP/2 sends, and what becomes of stream 1 and of the connection.

    `frames` are sent first, then, on stream 1, the request that `fields`, `data` (a DATA frame each) and `trailers`
    make; `ends` tells whether it ends. `opens` stands for the connection preface.

    `status` is the answer's; `reset` and `goaway` are error codes; `error` is one that comes either way, as RFC 9113,
    5.4.1 leaves it open. Where none of these two comes, the connection lives.
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
        """Whether an answer says so."""
        return (self.status or 0) >= 400


def wire(text: str | Text) -> bytes:
    """Give the bytes of a text: its characters are those of Latin-1."""
    pieces = [text] if isinstance(text, str) else text
    return b"".join(map(_piece, pieces))


def _piece(piece: str | Repeat) -> bytes:
    if isinstance(piece, str):
        return piece.encode("latin-1")
    return "".join(piece.repeat.replace("{n}", str(number)) for number in range(piece.times)).encode("latin-1")


def pairs(fields: FieldList) -> Pairs:
    """Give the fields of a list, as bytes."""
    return [pair for each in fields for pair in _fields(each)]


def _fields(each: tuple[str, str] | RepeatedField) -> Pairs:
    if isinstance(each, RepeatedField):
        name, value = each.repeat
        return [(wire(name), wire(value.replace("{n}", str(number)))) for number in range(each.times)]
    name, value = each
    return [(wire(name), wire(value))]


def read(path: Path) -> Http1Case | Http2Case:
    """Read a file. Raises `ValueError` with the file's name and what is wrong with it."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        if raw.get("protocol") == "HTTP/2":
            return msgspec.convert(raw, Http2Case)
        return msgspec.convert(raw, Http1Case)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def names() -> dict[str, Path]:
    """Give the files of the corpus by name, which is the path without its suffix."""
    return {str(path.relative_to(CASES).with_suffix("")): path for path in sorted(CASES.rglob("*.toml"))}


_ALL = {name: read(path) for name, path in names().items()}
HTTP1 = {name: case for name, case in _ALL.items() if isinstance(case, Http1Case)}
HTTP2 = {name: case for name, case in _ALL.items() if isinstance(case, Http2Case)}
