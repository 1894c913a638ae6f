"""Controls applied to a response: headers, bodies, drip, compression."""

import gzip
import zlib
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import brotli  # type: ignore[import-untyped] # it publishes no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.echo.controls import resolve
from app.echo.controls.apply import ControlledResponse, apply_controls
from app.echo.controls.attempts import AttemptCounter
from app.echo.controls.params import NO_CONTROLS, ControlParams
from app.echo.controls.resolve import ResolvedControls, annotate_report, resolve_controls
from app.echo.controls.values import DurationRange, WeightedChoice
from app.http.compress import COMPRESSOR_MEMORY, COMPRESSORS, compress_pieces, negotiate_encoding
from app.http.controls_report import AppliedControl, ControlsReport
from app.http.decompress import ContentDecoder
from app.http.request import NO_OPTIONS, ResponseOptions
from app.http.response import EVENT_STREAM, JSON, SECURITY_HEADERS, TEXT, RenderedResponse
from app.http.streamed_body import StreamedBody, first_half, generate_body, piece_count, rechunk, split_body

MIB = 1 << 20
ANSWER = RenderedResponse(b"0123456789", JSON, headers=SECURITY_HEADERS)


def do(
    accept_encoding: str = "",
    *,
    choice: ResolvedControls = resolve.UNRESOLVED,
    answer: RenderedResponse = ANSWER,
    **wishes: Any,
) -> ControlledResponse:
    """Apply these controls, and the choices that were made."""
    coding = chosen(ControlParams(compress=wishes.get("compress", "")), accept_encoding).coding
    return apply_controls(answer, ControlParams(**wishes), choice._replace(coding=coding))


def chosen(
    wishes: ControlParams, accept_encoding: str = "", tries: AttemptCounter | None = None, request_id: str = ""
) -> ResolvedControls:
    """Return the random choices."""
    return resolve_controls(wishes, Random(), tries or AttemptCounter(), request_id, accept_encoding)  # noqa: S311 - a test's


def test_an_answer_of_which_nothing_is_asked_is_as_it_was() -> None:
    """A response without controls keeps its type and needs no effects of the server."""
    outcome = apply_controls(ANSWER, NO_CONTROLS, resolve.UNRESOLVED)
    assert outcome == ControlledResponse(200, (("Content-Type", JSON), *SECURITY_HEADERS), b"0123456789", NO_OPTIONS)
    assert outcome.options is NO_OPTIONS


def test_fields_that_are_asked_for_stand_in_the_place_of_our_own() -> None:
    """A requested header replaces one of ours with the same name; others are added, even twice."""
    outcome = do(header=(("cache-control", "max-age=60"), ("X-A", "1"), ("X-A", "2")), cookie=(("Set-Cookie", "a=b"),))
    assert list(outcome.headers) == [
        ("Content-Type", JSON),
        *SECURITY_HEADERS[:2],
        ("cache-control", "max-age=60"),
        ("X-A", "1"),
        ("X-A", "2"),
        ("Set-Cookie", "a=b"),
    ]


def test_a_text_is_answered_as_plain_text() -> None:
    """A requested text is sent as plain text, whatever the response would have been."""
    outcome = do(body=b"<script>")
    assert (outcome.headers[0], outcome.body) == (("Content-Type", TEXT), b"<script>")
    assert SECURITY_HEADERS[0] in outcome.headers


def test_a_size_is_a_stream_of_that_length() -> None:
    """A requested size is generated while it is sent."""
    outcome = do(size=200_000)
    assert ("Content-Length", "200000") in outcome.headers
    assert ("Content-Type", TEXT) in outcome.headers
    assert outcome.options == ResponseOptions(is_streamed=True)
    pieces = list(outcome.body)
    assert all(isinstance(piece, bytes) and len(piece) <= 65_536 for piece in pieces)
    assert b"".join(pieces) == b"".join(generate_body(200_000))  # type: ignore[arg-type] # pieces of bytes, as seen above


@given(st.integers(0, 300_000), st.integers(1, 70_000))
def test_a_generated_text_is_the_same_however_it_is_cut(length: int, piece: int) -> None:
    """Generated text is the same however it is cut: lines of 64 ASCII characters."""
    text = b"".join(generate_body(length, piece))
    assert text == b"".join(generate_body(length))
    assert len(text) == length
    assert text[:128].count(b"\n") == min(length, 128) // 64


def test_a_redirect_is_302_unless_a_status_is_asked_for() -> None:
    """A redirect is 302 by default, with the target in Location."""
    assert do(redirect="/a").status == 302
    assert ("Location", "/a") in do(redirect="/a").headers
    assert do(redirect="/a", choice=ResolvedControls(307)).status == 307


@pytest.mark.parametrize("status", [204, 205, 304])
def test_an_answer_without_content_has_none(status: int) -> None:
    """A response without content has none, whatever is requested (RFC 9110, 15.3.5, 15.3.6, 15.4.5)."""
    outcome = do(choice=ResolvedControls(status), size=100, drip=2.0, compress="gzip")
    assert (outcome.status, outcome.body) == (status, b"")


@pytest.mark.parametrize(("seconds", "count"), [(2.0, 10), (0.3, 3), (0.05, 2), (0.0, 10)])
def test_a_drip_spreads_the_body_over_its_time(seconds: float, count: int) -> None:
    """A drip sends the first piece at once and the last at the end of its time; a drip of zero has no effect."""
    outcome = do(drip=seconds)
    assert b"".join(outcome.body if not isinstance(outcome.body, bytes) else [outcome.body]) == ANSWER.body
    if seconds:
        assert ("Content-Length", "10") in outcome.headers
        again = list(do(drip=seconds).body)
        assert outcome.options.interval * (len(again) - 1) == pytest.approx(seconds)
        assert len(again) <= count


def test_a_drip_of_a_generated_body_is_in_as_many_pieces() -> None:
    """A drip of a generated body has ten pieces per second."""
    outcome = do(drip=1.0, size=1000)
    assert [len(piece) for piece in outcome.body] == [100] * 10  # type: ignore[arg-type] # it is no bytes
    assert outcome.options == ResponseOptions(is_streamed=True, interval=1.0 / 9)


@pytest.mark.parametrize(("size", "seconds"), [(400 * MIB, 0.001), (MIB, 0.5), (1 << 30, 60.0)])
def test_no_piece_of_a_drip_is_large(size: int, seconds: float) -> None:
    """Pieces of a drip stay small, however short its time: the interval becomes shorter."""
    outcome = do(size=size, drip=seconds)
    first = next(iter(outcome.body))
    assert isinstance(first, bytes)
    assert len(first) <= 65_536
    count = -(-size // len(first))
    assert outcome.options.interval * (count - 1) == pytest.approx(seconds)


@pytest.mark.parametrize(("answer", "size"), [(RenderedResponse(b"", JSON), None), (ANSWER, 0)])
def test_nothing_is_not_spread(answer: RenderedResponse, size: int | None) -> None:
    """An empty body is sent at once."""
    outcome = do(answer=answer, drip=1.0, size=size)
    assert outcome.options.interval == 0
    assert b"".join(outcome.body if not isinstance(outcome.body, bytes) else [outcome.body]) == b""


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(1, 60))
def test_a_stream_is_cut_anew(pieces: list[bytes], size: int) -> None:
    """All pieces except the last have the requested size."""
    cut = list(rechunk(iter(pieces), size))
    assert b"".join(cut) == b"".join(pieces)
    assert {len(piece) for piece in cut[:-1]} <= {size}
    assert all(cut)


def test_a_stream_of_another_is_spread_too() -> None:
    """A body that a dialect streams, with its own length, is spread too."""
    outcome = do(answer=RenderedResponse(StreamedBody(10, iter([b"0123456", b"789"])), TEXT), drip=1.0)
    assert b"".join(outcome.body) == b"0123456789"  # type: ignore[arg-type] # it is no bytes
    assert ("Content-Length", "10") in outcome.headers
    assert outcome.options.interval == pytest.approx(1 / 9)


def test_what_is_asked_for_instead_of_events_has_not_their_pace() -> None:
    """A size or text that replaces events is sent at once."""
    events = RenderedResponse(StreamedBody(None, iter([b"a"]), is_endless=True), EVENT_STREAM, interval=1.0)
    assert do(answer=events).options == ResponseOptions(is_streamed=True, interval=1.0, is_endless=True)
    assert do(answer=events, size=9).options == ResponseOptions(is_streamed=True)
    assert do(answer=events, body=b"a").options == ResponseOptions()


@pytest.mark.parametrize(("length", "seconds", "pieces"), [(0, 5, 1), (1, 5, 1), (10**9, 60, 600), (100, 0.01, 2)])
def test_a_body_has_no_more_pieces_than_bytes(length: int, seconds: float, pieces: int) -> None:
    """A body has at most one piece per byte and ten per second."""
    assert piece_count(length, seconds) == pieces


def test_a_body_that_is_cut_off_says_how_long_it_would_have_been() -> None:
    """An aborted body is half sent, and Content-Length is that of the whole."""
    outcome = do(abort="middle")
    assert (b"".join(outcome.body), outcome.options.abort) == (b"01234", "middle")  # type: ignore[arg-type]
    assert ("Content-Length", "10") in outcome.headers
    halves = [b"".join(do(abort="middle", **wish).body) for wish in ({"size": 9}, {"size": 9, "drip": 1.0})]  # type: ignore[arg-type]
    assert halves == [b"0123", b"0123"]


def test_of_a_stream_that_is_cut_off_one_piece_is_sent() -> None:
    """An aborted stream of unknown length sends one piece, because its middle is unknown."""
    assert list(first_half(iter([b"a", b"b", b"c"]), None)) == [b"a"]


@given(st.binary(max_size=200), st.integers(1, 50))
def test_the_first_half_is_half_however_it_is_cut(body: bytes, piece: int) -> None:
    """The first half is rounded down, and has no empty pieces."""
    half = list(first_half(split_body(body, piece), len(body)))
    assert b"".join(half) == body[: len(body) // 2]
    assert all(half)


KEPT: dict[str, tuple[dict[str, Any], int]] = {
    "a whole body": ({}, 0),
    "a delay, which the carrier sees": ({"choice": ResolvedControls(delay=1.0)}, 0),
    "a drip": ({"drip": 1.0}, 10),
    "half": ({"abort": "middle"}, 10),
    "made while it is sent": ({"size": MIB}, 0),
    "that, in pieces": ({"size": MIB, "drip": 1.0}, 0),
    "compressed at once": ({"compress": "br"}, 0),
    "compressed while it is sent": ({"size": MIB, "compress": "br"}, COMPRESSOR_MEMORY["br"]),
    "half of that": ({"size": MIB, "compress": "gzip", "abort": "middle"}, COMPRESSOR_MEMORY["gzip"]),
}


@pytest.mark.parametrize("case", KEPT)
def test_it_is_known_what_an_answer_keeps_until_its_end(case: str) -> None:
    """Memory kept until a response ends is known: the body that is spread, and the state of a compressor.

    The worker limits the sum of all responses.
    """
    wishes, kept = KEPT[case]
    assert do(**wishes).options.buffered_bytes == kept


def test_an_abort_before_the_head_needs_no_stream() -> None:
    """An abort before the head needs no stream: the server applies it alone."""
    assert do(abort="before").options == ResponseOptions(abort="before")


def test_of_two_delays_the_longer_is_kept() -> None:
    """The longer of two delays applies: a dialect may have its own, and none is above the limit."""
    slow = RenderedResponse(b"", TEXT, delay=1.0)
    assert do(answer=slow, choice=ResolvedControls(delay=0.5)).options == ResponseOptions(delay=1.0)
    assert do(answer=slow, choice=ResolvedControls(delay=2.0)).options == ResponseOptions(delay=2.0)
    assert do(answer=slow).options == ResponseOptions(delay=1.0)


DECODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
}


@pytest.mark.parametrize("coding", COMPRESSORS)
@pytest.mark.parametrize("wish", [{}, {"size": 300_000}])
def test_a_coding_that_is_asked_for_is_undone_by_others(coding: str, wish: dict[str, Any]) -> None:
    """Other decoders can decode what is compressed, also a stream, whose length is then unknown."""
    outcome = do(compress=coding, **wish)
    assert ("Content-Encoding", coding) in outcome.headers
    assert outcome.options.is_streamed is bool(wish)
    assert not any(name == "Content-Length" for name, _ in outcome.headers)
    coded = outcome.body if isinstance(outcome.body, bytes) else b"".join(outcome.body)
    expected = b"".join(generate_body(300_000)) if wish else ANSWER.body
    if coding in DECODE:
        assert DECODE[coding](coded) == expected
    whole = bytearray()
    decoding = ContentDecoder((coding.encode(),), 1 << 20, whole.extend)
    decoding.decode_piece(coded)
    while decoding.has_pending_input:
        decoding.decode_step()
    decoding.finish_decoding()
    assert (decoding.error, bytes(whole)) == ("", expected)


def test_a_large_answer_is_compressed_while_it_is_sent() -> None:
    """A large response is compressed while it is sent, so that no step takes long."""
    outcome = do(compress="gzip", answer=RenderedResponse(bytes(200_000), JSON))
    assert isinstance(outcome.body, bytes) is False
    assert gzip.decompress(b"".join(outcome.body)) == bytes(200_000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("gzip;q=0.5, br", "br"),
        ("BR ; Q=1", "br"),
        ("*", "gzip"),
        ("gzip;q=0, *", "br"),
        ("identity", ""),
        ("identity;q=1, gzip;q=0.1", ""),
        ("identity;q=0.5, gzip", "gzip"),
        ("x," * 5000 + "gzip", ""),
        ("gzip;q=0", ""),
        ("gzip;q=x", ""),
        (",;,", ""),
    ],
)
def test_auto_takes_what_the_client_prefers(accept_encoding: str, coding: str) -> None:
    """The coding is the one that the client prefers (RFC 9110, 12.5.3)."""
    assert negotiate_encoding(accept_encoding) == coding
    outcome = do(accept_encoding, compress="auto")
    assert [value for name, value in outcome.headers if name == "Content-Encoding"] == ([coding] if coding else [])
    assert ("Vary", "Accept-Encoding") in outcome.headers


def test_nothing_is_compressed_that_is_not_asked_for() -> None:
    """Nothing is compressed unless requested, because a gateway in between may be meant to do it."""
    assert not any(name == "Content-Encoding" for name, _ in do("gzip").headers)


def test_compressing_nothing_gives_a_valid_nothing() -> None:
    """An empty body is compressed to a valid empty one."""
    assert gzip.decompress(b"".join(compress_pieces([], "gzip"))) == b""


def test_the_same_seed_chooses_alike_and_no_seed_does_not() -> None:
    """The same seed always chooses the same status and delay, and no seed chooses at random."""
    wishes = ControlParams(status=WeightedChoice((200, 500), (1, 1)), delay=DurationRange(0, 1), seed="a")
    alike = {chosen(wishes) for _ in range(20)}
    assert len(alike) == 1
    free = ControlParams(status=WeightedChoice((200, 500), (1, 1)), delay=DurationRange(0, 1))
    assert len({chosen(free) for _ in range(20)}) == 20
    seeds = Counter(
        chosen(ControlParams(status=WeightedChoice((200, 500), (1, 1)), seed=str(seed))).status for seed in range(400)
    )
    assert 140 < seeds[200] < 260


def test_the_first_tries_fail_and_the_next_succeed() -> None:
    """Failures are counted per request ID, and the requested status applies to the success."""
    tries, wishes = AttemptCounter(), ControlParams(fail_first=2, status=WeightedChoice((201,), (1,)))
    statuses = [chosen(wishes, "", tries, "a").status for _ in range(4)]
    assert statuses == [503, 503, 201, 201]
    assert chosen(wishes, "", tries, "b").status == 503


def test_tries_are_remembered_of_so_many_requests_only() -> None:
    """The number of remembered requests is limited, and the one not seen for longest is forgotten first."""
    tries = AttemptCounter(max_ids=2)
    assert [tries.increment(each) for each in "abacab"] == [1, 1, 2, 1, 3, 1]


def test_what_was_chosen_is_noted() -> None:
    """The choices made are shown beside the requested values."""
    applied = ControlsReport(
        tuple(
            AppliedControl(name, "v", "query")
            for name in ("status", "delay", "time", "fail_first", "compress", "header")
        ),
        (),
    )
    assert annotate_report(ControlsReport(), ResolvedControls(500, 0.5, 3, "br")) == ControlsReport()
    assert [each.chosen for each in annotate_report(applied, ResolvedControls(500, 0.5, 3, "br")).granted][:5] == [
        500,
        0.5,
        0.5,
        {"try": 3},
        "br",
    ]
