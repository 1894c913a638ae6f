"""Parts of gRPC: statuses, deadlines, message framing, descriptors."""

import gzip
from collections.abc import Iterable
from itertools import pairwise
from math import inf

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.grpc import messages
from app.grpc.call import GrpcCall, RejectedCall
from app.grpc.deadline import parse_timeout
from app.grpc.framing import MessageReader, encode_message, parse_coding
from app.grpc.metadata import MetadataValue
from app.grpc.services import METHODS, SERVICES, MethodKind
from app.grpc.status import CODES_BY_NAME, CallError, StatusCode, percent_encode, status_trailers
from app.http.call import is_grpc_request
from app.http.record import CallStatus
from tools.docs.descriptors import PROTOS, compiled, generated

MOST = 1000


def _given(*values: bytes) -> list[MetadataValue]:
    """Return the values of a header, none of them redacted."""
    return [MetadataValue(value, value) for value in values]


def test_the_codes_are_those_of_grpc() -> None:
    """Names and numbers of codes are the same as another implementation's."""
    theirs = {code.name: code.value[0] for code in grpc.StatusCode}
    assert {code.name: code.value for code in StatusCode} == theirs
    assert {
        **{code.name: code for code in StatusCode},
        **{str(code.value): code for code in StatusCode},
    } == CODES_BY_NAME


def test_a_call_without_another_end_is_cancelled() -> None:
    """The default is CANCELLED, and the record has both its name and its number."""
    assert (CallStatus().code, CallStatus().number) == (StatusCode.CANCELLED.name, StatusCode.CANCELLED)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("plain, with spaces ~", b"plain, with spaces ~"),
        ("100 %", b"100 %25"),
        ("a\r\nb\x00\x7f", b"a%0D%0Ab%00%7F"),
        ("ü", b"%C3%BC"),
        ("\udcff", b"\\udcff"),
    ],
)
def test_a_message_is_sent_as_visible_ascii(message: str, field: bytes) -> None:
    """A message is percent-encoded to visible ASCII, so that nothing of it ends the header."""
    assert percent_encode(message) == field
    assert status_trailers(StatusCode.NOT_FOUND, message) == ((b"grpc-status", b"5"), (b"grpc-message", field))


def test_success_has_no_message() -> None:
    """Success has no message."""
    assert status_trailers(StatusCode.OK) == ((b"grpc-status", b"0"),)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"1H", 3600.0),
        (b"2M", 120.0),
        (b"3S", 3.0),
        (b"250m", 0.25),
        (b"4992600u", 4.9926),
        (b"99999999n", 0.099999999),
        (b"0m", 0.0),
    ],
)
def test_a_timeout_is_a_number_and_a_unit(value: bytes, seconds: float) -> None:
    """A timeout is a number and a unit, from hours to nanoseconds."""
    assert parse_timeout(_given(value)) == pytest.approx(seconds)


def test_without_a_timeout_there_is_no_deadline() -> None:
    """Without a timeout, a call has no deadline of its own."""
    assert parse_timeout(()) == inf


@pytest.mark.parametrize("values", [[b""], [b"1"], [b"S"], [b"123456789S"], [b"-1S"], [b"1.5S"], [b"1h"], [b"1S"] * 2])
def test_what_is_no_timeout_is_refused(values: list[bytes]) -> None:
    """An invalid timeout is rejected rather than guessed."""
    with pytest.raises(CallError, match="grpc-timeout"):
        parse_timeout(_given(*values))


@pytest.mark.parametrize(("values", "name"), [((), b"identity"), ((b"gzip",), b"gzip")])
def test_the_coding_of_messages_is_told_by_a_field(values: tuple[bytes, ...], name: bytes) -> None:
    """The coding is named by a header; without it, messages are not compressed."""
    assert parse_coding(_given(*values)) == name


@pytest.mark.parametrize(
    ("value", "call"), [(b"application/grpc", True), (b"application/grpc+x", True), (b"application/grpc-web", False)]
)
def test_a_call_is_told_by_its_media_type(value: bytes, call: bool) -> None:  # noqa: FBT001 - a column
    """A call is recognized by its media type only."""
    assert is_grpc_request(((b"a", b"b"), (b"content-type", value))) is call
    assert not is_grpc_request(((b"accept", value),))


@given(
    whole=st.lists(st.tuples(st.binary(max_size=50), st.booleans()), max_size=6),
    cuts=st.lists(st.integers(0, 500), max_size=6),
)
def test_messages_are_read_in_every_delivery(whole: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    """Messages are decoded in every delivery, compressed or not."""
    wire = b"".join(
        b"\1" + encode_message(gzip.compress(raw))[1:] if packed else encode_message(raw) for raw, packed in whole
    )
    bounds = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    for pieces in ([wire], [wire[at : at + 1] for at in range(len(wire))], _cut(wire, bounds)):
        reader = MessageReader(b"gzip", MOST)
        for piece in pieces:
            reader.feed_body(piece)
        reader.feed_eof()
        assert [reader.next_message() for _ in range(reader.ready_count)] == [raw for raw, _ in whole]
        assert reader.buffered_bytes == 0


def _cut(wire: bytes, bounds: list[int]) -> Iterable[bytes]:
    return (wire[start:end] for start, end in pairwise(bounds))


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        pytest.param(b"\2\0\0\0\0", StatusCode.INTERNAL, id="an unknown flag"),
        pytest.param(
            b"\0" + (MOST + 1).to_bytes(4, "big"), StatusCode.RESOURCE_EXHAUSTED, id="too long, by its prefix"
        ),
        pytest.param(b"\1" + encode_message(b"no gzip")[1:], StatusCode.INTERNAL, id="not gzip"),
        pytest.param(b"\1" + encode_message(gzip.compress(b"a")[:-1])[1:], StatusCode.INTERNAL, id="half of gzip"),
        pytest.param(b"\1" + encode_message(gzip.compress(b"a") + b"b")[1:], StatusCode.INTERNAL, id="more than gzip"),
        pytest.param(
            b"\1" + encode_message(gzip.compress(bytes(MOST + 1)))[1:], StatusCode.RESOURCE_EXHAUSTED, id="a small bomb"
        ),
        pytest.param(
            b"\1" + encode_message(gzip.compress(gzip.compress(bytes(1 << 27)) + bytes(0)))[1:],
            StatusCode.RESOURCE_EXHAUSTED,
            id="a large one",
        ),
        pytest.param(encode_message(bytes(MOST)) * 2, StatusCode.RESOURCE_EXHAUSTED, id="too much at once"),
        pytest.param(encode_message(b"") * 1001, StatusCode.RESOURCE_EXHAUSTED, id="too many at once"),
    ],
)
def test_what_can_not_be_read_has_a_code(wire: bytes, code: StatusCode) -> None:
    """A malformed or oversized message has its code.

    Never more is kept than one message and its prefix may have.
    """
    with pytest.raises(CallError) as refused:
        MessageReader(b"gzip", MOST).feed_body(wire)
    assert refused.value.code is code


def test_the_largest_message_is_read() -> None:
    """A message of exactly the limit is decoded, compressed or not."""
    for wire in (encode_message(bytes(MOST)), b"\1" + encode_message(gzip.compress(bytes(MOST)))[1:]):
        reader = MessageReader(b"gzip", MOST)
        reader.feed_body(wire)
        assert reader.next_message() == bytes(MOST)


def test_the_messages_are_those_of_the_files() -> None:
    """The messages are up to date with the proto files, and all of them are read; `make format` writes them."""
    files = generated()
    assert {path: path.read_bytes() for path in PROTOS.rglob("*.binpb")} == files
    for path, content in files.items():
        assert messages.file_by_name(f"{path.relative_to(PROTOS).with_suffix('.proto')}") == content


def test_the_methods_are_those_of_the_files() -> None:
    """The methods are those of the proto files, each with its kind of streaming."""
    kinds = {
        (False, False): MethodKind.UNARY,
        (False, True): MethodKind.SERVER_STREAMING,
        (True, True): MethodKind.BIDI_STREAMING,
    }
    described = {
        f"/{file.package}.{service.name}/{method.name}": kinds[method.client_streaming, method.server_streaming]
        for file in compiled().file
        for service in file.service
        for method in service.method
    }
    assert {path: method.kind for path, method in METHODS.items()} == described
    assert set(SERVICES) == {path.split("/")[1] for path in described}


def test_a_refused_call_has_all_that_a_call_has() -> None:
    """A rejected call has the whole interface of a call, because the server uses any of it."""
    names = {name for name in dir(GrpcCall) if not name.startswith("_")}
    assert names <= set(dir(RejectedCall))
