"""The parts of gRPC: statuses, deadlines, the framing of messages, and what describes them."""

import gzip
from collections.abc import Iterable
from itertools import pairwise
from math import inf

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.grpc.call import GrpcCall, Refused
from app.grpc.deadline import timeout
from app.grpc.framing import Messages, coding, framed
from app.grpc.metadata import Given
from app.grpc.services import METHODS, SERVICES, Kind
from app.grpc.status import BY_NAME, CallError, Code, encoded, trailers
from app.http.call import is_call
from app.http.grpc_record import Ending
from tools.docs.descriptors import MADE, compiled, written

MOST = 1000


def _given(*values: bytes) -> list[Given]:
    """Give what a field says, all of which may be seen."""
    return [Given(value, value) for value in values]


def test_the_codes_are_those_of_grpc() -> None:
    """Held against another implementation's, by name and number."""
    theirs = {code.name: code.value[0] for code in grpc.StatusCode}
    assert {code.name: code.value for code in Code} == theirs
    assert {**{code.name: code for code in Code}, **{str(code.value): code for code in Code}} == BY_NAME


def test_a_call_without_another_end_is_cancelled() -> None:
    """The record has both the name and the number of the code."""
    assert (Ending().code, Ending().number) == (Code.CANCELLED.name, Code.CANCELLED)


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
    """Nothing of it ends the field."""
    assert encoded(message) == field
    assert trailers(Code.NOT_FOUND, message) == ((b"grpc-status", b"5"), (b"grpc-message", field))


def test_success_has_no_message() -> None:
    """There is nothing to say."""
    assert trailers(Code.OK) == ((b"grpc-status", b"0"),)


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
    """In seconds, from hours to nanoseconds."""
    assert timeout(_given(value)) == pytest.approx(seconds)


def test_without_a_timeout_there_is_no_deadline() -> None:
    """The call has as long as anything has."""
    assert timeout(()) == inf


@pytest.mark.parametrize("values", [[b""], [b"1"], [b"S"], [b"123456789S"], [b"-1S"], [b"1.5S"], [b"1h"], [b"1S"] * 2])
def test_what_is_no_timeout_is_refused(values: list[bytes]) -> None:
    """Rather than guessed at."""
    with pytest.raises(CallError, match="grpc-timeout"):
        timeout(_given(*values))


@pytest.mark.parametrize(("values", "name"), [((), b"identity"), ((b"gzip",), b"gzip")])
def test_the_coding_of_messages_is_told_by_a_field(values: tuple[bytes, ...], name: bytes) -> None:
    """None means as they are."""
    assert coding(_given(*values)) == name


@pytest.mark.parametrize(
    ("value", "call"), [(b"application/grpc", True), (b"application/grpc+x", True), (b"application/grpc-web", False)]
)
def test_a_call_is_told_by_its_media_type(value: bytes, call: bool) -> None:  # noqa: FBT001 - a column
    """By nothing else."""
    assert is_call(((b"a", b"b"), (b"content-type", value))) is call
    assert not is_call(((b"accept", value),))


@given(
    whole=st.lists(st.tuples(st.binary(max_size=50), st.booleans()), max_size=6),
    cuts=st.lists(st.integers(0, 500), max_size=6),
)
def test_messages_are_read_in_every_delivery(whole: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    """Compressed or not."""
    wire = b"".join(b"\1" + framed(gzip.compress(raw))[1:] if packed else framed(raw) for raw, packed in whole)
    bounds = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    for pieces in ([wire], [wire[at : at + 1] for at in range(len(wire))], _cut(wire, bounds)):
        reader = Messages(b"gzip", MOST)
        for piece in pieces:
            reader.receive(piece)
        reader.end()
        assert [reader.next() for _ in range(reader.waiting)] == [raw for raw, _ in whole]
        assert reader.held == 0


def _cut(wire: bytes, bounds: list[int]) -> Iterable[bytes]:
    return (wire[start:end] for start, end in pairwise(bounds))


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        pytest.param(b"\2\0\0\0\0", Code.INTERNAL, id="an unknown flag"),
        pytest.param(b"\0" + (MOST + 1).to_bytes(4, "big"), Code.RESOURCE_EXHAUSTED, id="too long, by its prefix"),
        pytest.param(b"\1" + framed(b"no gzip")[1:], Code.INTERNAL, id="not gzip"),
        pytest.param(b"\1" + framed(gzip.compress(b"a")[:-1])[1:], Code.INTERNAL, id="half of gzip"),
        pytest.param(b"\1" + framed(gzip.compress(b"a") + b"b")[1:], Code.INTERNAL, id="more than gzip"),
        pytest.param(b"\1" + framed(gzip.compress(bytes(MOST + 1)))[1:], Code.RESOURCE_EXHAUSTED, id="a small bomb"),
        pytest.param(
            b"\1" + framed(gzip.compress(gzip.compress(bytes(1 << 27)) + bytes(0)))[1:],
            Code.RESOURCE_EXHAUSTED,
            id="a large one",
        ),
        pytest.param(framed(bytes(MOST)) * 2, Code.RESOURCE_EXHAUSTED, id="too much at once"),
        pytest.param(framed(b"") * 1001, Code.RESOURCE_EXHAUSTED, id="too many at once"),
    ],
)
def test_what_can_not_be_read_has_a_code(wire: bytes, code: Code) -> None:
    """However it comes; and never more is kept than one message may have, and its prefix."""
    with pytest.raises(CallError) as refused:
        Messages(b"gzip", MOST).receive(wire)
    assert refused.value.code is code


def test_the_largest_message_is_read() -> None:
    """The bound is what may be, compressed or not."""
    for wire in (framed(bytes(MOST)), b"\1" + framed(gzip.compress(bytes(MOST)))[1:]):
        reader = Messages(b"gzip", MOST)
        reader.receive(wire)
        assert reader.next() == bytes(MOST)


def test_the_messages_are_those_of_the_files() -> None:
    """`make format` writes them."""
    assert MADE.read_text() == written()


def test_the_methods_are_those_of_the_files() -> None:
    """Each with what its request and its answer are streams of."""
    kinds = {(False, False): Kind.UNARY, (False, True): Kind.WATCH, (True, True): Kind.DIALOGUE}
    described = {
        f"/{file.package}.{service.name}/{method.name}": kinds[method.client_streaming, method.server_streaming]
        for file in compiled().file
        for service in file.service
        for method in service.method
    }
    assert {path: method.kind for path, method in METHODS.items()} == described
    assert set(SERVICES) == {path.split("/")[1] for path in described}


def test_a_refused_call_has_all_that_a_call_has() -> None:
    """Whatever the carrier asks of it."""
    names = {name for name in dir(GrpcCall) if not name.startswith("_")}
    assert names <= set(dir(Refused))
