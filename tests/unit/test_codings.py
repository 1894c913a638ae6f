"""Content codings: round trips, errors, limits, and cost of decoding."""

import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterable

import brotli  # type: ignore[import-untyped] # it publishes no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.content_codings import MAX_OUTPUT
from app.http.decompress import MAX_STREAMS, STEP_COST, ContentDecoder
from tests.requests import deliveries

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20
TEXT = b"a text that is worth coding, a text that is worth it\n" * 40


class Run:
    """One decoded content: its whole output, and the largest output of one call and of one step."""

    def __init__(
        self, codings: Iterable[bytes], pieces: Iterable[bytes], most: int = MIB, *, keep: bool = True
    ) -> None:
        self.output = bytearray()
        self.length = self.most_of_a_call = self.most_of_a_step = self._of_the_step = 0
        self._keep = keep
        decoding = ContentDecoder(tuple(codings), most, self._take)
        for piece in pieces:
            self._step(lambda piece=piece: decoding.decode_piece(piece))  # type: ignore[misc]
            while decoding.has_pending_input:
                self._step(decoding.decode_step)
        decoding.finish_decoding()
        self.refused = decoding.error

    def _step(self, act: Callable[[], None]) -> None:
        self._of_the_step = 0
        act()
        self.most_of_a_step = max(self.most_of_a_step, self._of_the_step)

    def _take(self, output: bytes) -> None:
        if self._keep:
            self.output += output
        self.length += len(output)
        self._of_the_step += len(output)
        self.most_of_a_call = max(self.most_of_a_call, len(output))


def finish(decoding: ContentDecoder) -> int:
    """Finish the pending work, and return its number of steps."""
    steps = 0
    while decoding.has_pending_input:
        decoding.decode_step()
        steps += 1
    return steps


def raw_deflate(data: bytes) -> bytes:
    """Return raw DEFLATE, without a wrapper."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def wide_zstd(log: int) -> bytes:
    """Return a zstd frame that requires a window of 2**log bytes."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
    return compressor.compress(TEXT) + compressor.flush()


CODERS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "gzip": (b"gzip", gzip.compress),
    "x-gzip": (b"x-gzip", gzip.compress),
    "deflate": (b"deflate", zlib.compress),
    "raw deflate": (b"deflate", raw_deflate),
    "br": (b"br", lambda data: brotli.compress(data, quality=5)),
    "zstd": (b"zstd", zstd.compress),
    "identity": (b"identity", bytes),
}
SINGLE = [name for name in CODERS if name != "identity"]
CONTENT = st.binary(max_size=200) | st.builds(
    lambda part, times: part * times, st.binary(max_size=8), st.integers(0, 99)
)


# If only identity is listed, there is nothing to decode.
LISTED = st.lists(st.sampled_from(sorted(CODERS)), min_size=1, max_size=4).filter(
    lambda names: set(names) != {"identity"}
)


@given(st.data(), CONTENT, LISTED)
def test_what_comes_out_is_what_went_in(data: st.DataObject, content: bytes, coders: list[str]) -> None:
    """Every coding, in every order, is decoded to the original, however the bytes are cut (RFC 9110, 8.4)."""
    names, coded = [], content
    for coder in coders:
        name, encode = CODERS[coder]
        names.append(name)
        coded = encode(coded)
    for pieces in data.draw(deliveries(coded)):
        run = Run(names, pieces)
        assert (run.refused, bytes(run.output)) == ("", content)


@pytest.mark.parametrize("coder", SINGLE)
@pytest.mark.parametrize("by", [262_144, 1000])
def test_much_comes_out_whole(coder: str, by: int) -> None:
    """Content that fills the output of many calls and steps is complete, whether by whole blocks or not."""
    name, encode = CODERS[coder]
    content = b"".join(b"%d: a line of text\n" % number for number in range(60_000)) + bytes(3 * MAX_OUTPUT)
    coded = encode(content)
    run = Run([name], (coded[start : start + by] for start in range(0, len(coded), by)), 4 * MIB)
    assert (run.refused, bytes(run.output)) == ("", content)
    assert run.most_of_a_call <= MAX_OUTPUT


@pytest.mark.parametrize("length", [MAX_OUTPUT - 1, MAX_OUTPUT, MAX_OUTPUT + 1, STEP_COST, 2 * STEP_COST])
@pytest.mark.parametrize("coder", SINGLE)
def test_an_output_that_just_fills_a_call_is_whole(coder: str, length: int) -> None:
    """Output that exactly fills a call or a step is complete."""
    name, encode = CODERS[coder]
    run = Run([name], [encode(bytes(length))])
    assert (run.refused, run.length) == ("", length)


SKIPPED = b"\x50\x2a\x4d\x18\x02\x00\x00\x00ab"
EMPTY = {"gzip": gzip.compress(b""), "zstd": zstd.compress(b"")}
REPEATED = {
    "gzip members (RFC 1952, 2.2)": (
        b"gzip",
        [gzip.compress(b"a"), gzip.compress(b""), gzip.compress(TEXT)],
        b"a" + TEXT,
    ),
    "zstd frames (RFC 8878, 3)": (b"zstd", [zstd.compress(b"a"), zstd.compress(b""), zstd.compress(TEXT)], b"a" + TEXT),
    "zstd frames to skip (RFC 8878, 3.1.2)": (b"zstd", [SKIPPED, zstd.compress(TEXT), SKIPPED], TEXT),
}


@pytest.mark.parametrize("case", REPEATED)
@given(data=st.data())
def test_streams_one_behind_the_other_are_one_content(case: str, data: st.DataObject) -> None:
    """Concatenated streams are one content, wherever the cuts are."""
    name, streams, content = REPEATED[case]
    for pieces in data.draw(deliveries(b"".join(streams))):
        run = Run([name], pieces)
        assert (run.refused, bytes(run.output)) == ("", content)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_streams_are_counted(name: str) -> None:
    """Concatenated streams are limited, because each costs a decoder, however little it holds."""
    assert Run([name.encode()], [EMPTY[name] * MAX_STREAMS]).refused == ""
    assert Run([name.encode()], [EMPTY[name] * (MAX_STREAMS + 1)]).refused == (
        f"{name}: more than {MAX_STREAMS} concatenated streams"
    )


GZIPPED, ZLIBBED, RAW = gzip.compress(TEXT), zlib.compress(TEXT), raw_deflate(TEXT)
BROTLIED, ZSTDED = brotli.compress(TEXT), zstd.compress(TEXT)
CHECKED = zstd.compress(TEXT, options={zstd.CompressionParameter.checksum_flag: 1})


def broken(data: bytes, at: int) -> bytes:
    """Return data with one bit of one byte flipped."""
    position = at % len(data)
    return data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]


REFUSED = {
    "gzip cut in its magic number": ([b"gzip"], b"\x1f", "gzip: truncated data"),
    "gzip cut": ([b"gzip"], GZIPPED[:-1], "gzip: truncated data"),
    "gzip cut early": ([b"gzip"], GZIPPED[:20], "gzip: truncated data"),
    "gzip cut in its second member": ([b"gzip"], GZIPPED + GZIPPED[:20], "gzip: truncated data"),
    "gzip with a wrong checksum": ([b"gzip"], broken(GZIPPED, -8), "gzip: corrupt data: "),
    "gzip with a wrong length": ([b"gzip"], broken(GZIPPED, -4), "gzip: corrupt data: "),
    "gzip of an unknown method": ([b"gzip"], broken(GZIPPED, 2), "gzip: corrupt data: "),
    "gzip with more behind it": ([b"gzip"], GZIPPED + b"more", "gzip: bytes after the end of the data"),
    "gzip with one byte behind it": ([b"gzip"], GZIPPED + b"m", "gzip: bytes after the end of the data"),
    "gzip that is text": ([b"gzip"], TEXT, "gzip: data in another format"),
    "deflate cut": ([b"deflate"], ZLIBBED[:-1], "deflate: truncated data"),
    "deflate with a wrong checksum": ([b"deflate"], broken(ZLIBBED, -1), "deflate: corrupt data: "),
    "deflate with more behind it": ([b"deflate"], ZLIBBED + b"m", "deflate: bytes after the end of the data"),
    "deflate that asks for a dictionary": ([b"deflate"], b"\x78\xbb" + ZLIBBED[2:], "deflate: corrupt data: "),
    "raw deflate cut": ([b"deflate"], RAW[:-1], "deflate: truncated data"),
    "raw deflate with more behind it": ([b"deflate"], RAW + b"more", "deflate: bytes after the end of the data"),
    "deflate that is text": ([b"deflate"], b"\xff" * 9, "deflate: corrupt data: "),
    "br cut": ([b"br"], BROTLIED[:-1], "br: truncated data"),
    "br that is no such thing": ([b"br"], b"\xff" * 9, "br: corrupt data, or bytes after its end"),
    "br with more behind it": ([b"br"], BROTLIED + b"m", "br: corrupt data, or bytes after its end"),
    "zstd cut": ([b"zstd"], ZSTDED[:-1], "zstd: truncated data"),
    "zstd cut in its magic number": ([b"zstd"], ZSTDED[:3], "zstd: truncated data"),
    "zstd with a wrong checksum": ([b"zstd"], broken(CHECKED, -1), "zstd: corrupt data: "),
    "zstd with more behind it": ([b"zstd"], ZSTDED + b"more", "zstd: bytes after the end of the data"),
    "zstd with one byte behind it": ([b"zstd"], ZSTDED + b"m", "zstd: bytes after the end of the data"),
    "zstd that is text": ([b"zstd"], TEXT, "zstd: data in another format"),
    "zstd with a window of 16 MiB": ([b"zstd"], wide_zstd(24), "zstd: window exceeds 8388608 bytes (RFC 9659)"),
    "an unknown coding": ([b"gzip", b"aws-chunked"], GZIPPED, "unknown content coding 'aws-chunked'"),
    "an unknown coding of any bytes": ([b"\xff" * 50], GZIPPED, "unknown content coding '" + "\\xff" * 40 + "'"),
    "five codings": ([b"gzip"] * 5, GZIPPED, "5 content codings exceed the limit of 4"),
    "codings in another order": ([b"gzip", b"zstd"], gzip.compress(ZSTDED), "zstd: data in another format"),
    "an inner coding cut": ([b"zstd", b"gzip"], gzip.compress(ZSTDED[:-1]), "zstd: truncated data"),
    "an outer coding cut": ([b"zstd", b"gzip"], gzip.compress(ZSTDED)[:-1], "gzip: truncated data"),
    "an inner coding of nothing": ([b"br", b"gzip"], gzip.compress(b""), "br: truncated data"),
}


@pytest.mark.parametrize("by", [10**6, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_decoded_says_why(case: str, by: int) -> None:
    """The error is one line, and the same however the bytes arrive."""
    names, coded, why = REFUSED[case]
    run = Run(names, [coded[start : start + by] for start in range(0, len(coded), by)])
    assert run.refused.startswith(why)
    assert run.refused == why or why.endswith(": ")
    assert "\n" not in run.refused


@given(st.sampled_from(SINGLE), st.binary(max_size=200), st.integers(0, 200), st.booleans())
def test_no_bytes_are_too_wild(coder: str, noise: bytes, at: int, begins_well: bool) -> None:  # noqa: FBT001 - given
    """Any bytes are decoded or rejected."""
    name, encode = CODERS[coder]
    coded = encode(TEXT)[:at] + noise if begins_well else noise
    run = Run([name], [coded])
    assert run.refused or run.length <= MIB


def test_a_window_of_8_mib_is_decoded() -> None:
    """A window of 8 MiB is decoded: senders may rely on that much (RFC 9659, 3)."""
    assert Run([b"zstd"], [wide_zstd(23)]).output == TEXT


def zeros_gzip() -> Iterable[bytes]:
    """Return 1 GiB of zeros in 64 members."""
    return [gzip.compress(bytes(16 * MIB))] * 64


def zeros_zstd() -> Iterable[bytes]:
    """Return 1 GiB of zeros in 64 frames."""
    return [zstd.compress(bytes(16 * MIB))] * 64


def zeros_deflate() -> Iterable[bytes]:
    """Return 1 GiB of zeros: a full flush makes a block independent of others, so it can be repeated."""
    compressor = zlib.compressobj(wbits=-15)
    flushed = compressor.compress(bytes(16 * MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return [flushed * 64 + compressor.flush()]


def zeros_br() -> Iterable[bytes]:
    """Return 1 GiB of zeros in some 200 KB."""
    compressor, zeros = brotli.Compressor(quality=1), bytes(MIB)
    return [b"".join(compressor.process(zeros) for _ in range(1024)) + compressor.finish()]


def zeros_nested() -> Iterable[bytes]:
    """Return 1 GiB of zeros, gzipped twice, in some 5 KB."""
    return [gzip.compress(b"".join(zeros_gzip()))]


# An inner coding can also be an endless stream of bytes that decode to no content.
def nothing_nested() -> Iterable[bytes]:
    """Return 64 MiB of empty DEFLATE blocks, which decode to nothing at all, gzipped."""
    compressor = zlib.compressobj(9, wbits=31)
    empty = b"\x00\x00\x00\xff\xff" * (MIB // 5)
    return [b"".join(compressor.compress(empty) for _ in range(64)) + compressor.flush()]


BOMBS = {
    "gzip": ([b"gzip"], zeros_gzip, "gzip"),
    "deflate": ([b"deflate"], zeros_deflate, "deflate"),
    "br": ([b"br"], zeros_br, "br"),
    "zstd": ([b"zstd"], zeros_zstd, "zstd"),
    "gzip in gzip": ([b"gzip", b"gzip"], zeros_nested, "gzip"),
    "nothing in gzip": ([b"deflate", b"gzip"], nothing_nested, "gzip"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_stops_at_the_bound(case: str) -> None:
    """No call, step or total yields more than its limit."""
    names, bomb, which = BOMBS[case]
    most = 8 * MIB
    run = Run(names, bomb(), most, keep=False)
    assert run.refused == f"{which}: decoded body exceeds {most} bytes (ECHO_MAX_DECODED)"
    assert run.length <= most
    assert run.most_of_a_call <= MAX_OUTPUT
    assert run.most_of_a_step < STEP_COST + MAX_OUTPUT


@pytest.mark.parametrize("coder", SINGLE)
def test_the_bound_itself_may_be_reached(coder: str) -> None:
    """A body of exactly the limit is decoded, and one byte more is rejected."""
    name, encode = CODERS[coder]
    assert Run([name], [encode(bytes(MIB))], MIB).refused == ""
    assert (
        Run([name], [encode(bytes(MIB + 1))], MIB).refused
        == f"{name.decode()}: decoded body exceeds {MIB} bytes (ECHO_MAX_DECODED)"
    )


def test_memory_is_constant() -> None:
    """Decoding takes constant memory, whatever the size of the output and the number of codings."""
    bomb = zeros_nested()
    tracemalloc.start()
    try:
        run = Run([b"gzip", b"gzip"], bomb, 64 * MIB, keep=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert run.length > 63 * MIB
    assert peak < MIB


def test_a_piece_that_comes_while_work_is_left_only_waits() -> None:
    """A piece that arrives while work is pending waits for its turn: it costs nothing until then, and is not lost."""
    output: list[int] = []
    decoding = ContentDecoder((b"gzip",), 8 * MIB, lambda piece: output.append(len(piece)))
    first, second = gzip.compress(bytes(MIB)), gzip.compress(b"more")
    decoding.decode_piece(first)
    assert decoding.has_pending_input
    so_far = sum(output)
    for byte in second:
        decoding.decode_piece(bytes([byte]))
    assert sum(output) == so_far < MIB
    finish(decoding)
    decoding.finish_decoding()
    assert (decoding.error, sum(output)) == ("", MIB + 4)


def test_what_yields_nothing_is_bounded_too() -> None:
    """Input costs time too: a step does not take all of a large piece, even if it yields nothing."""
    decoding = ContentDecoder((b"deflate",), MIB, lambda _: None)
    decoding.decode_piece(b"\x00\x00\x00\xff\xff" * 40_000)
    assert finish(decoding) >= 2
