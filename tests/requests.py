"""Random valid HTTP/1.1 requests, and their deliveries (hypothesis)."""

from hypothesis import strategies as st

TOKEN = st.text("!#$%&'*+-.^_`|~0123456789ABCxyz", min_size=1, max_size=12).map(str.encode)
VISIBLE = [*range(0x21, 0x7F), *range(0x80, 0x100)]
# The four forms of a request target (RFC 9112, 3.2), composed of what proxies change; and anything that a line can
# contain.
_PIECES = st.sampled_from(
    [b"a", b"B", b"/", b"//", b"%2F", b"%2f", b"%zz", b";", b"..", b".", b"+", "ü".encode(), b"\xff", b"\\xff"]
)
_QUERY = st.lists(
    st.sampled_from([b"a", b"a=", b"=b", b"a=1", b"a=2", b"", b"%26", b"+", b"\xfc", b"c=d=e"]), max_size=5
)
_PATH = st.lists(_PIECES, max_size=6).map(b"".join)
_PATH_AND_QUERY = st.one_of(_PATH, st.builds(lambda path, query: path + b"?" + b"&".join(query), _PATH, _QUERY))
TARGET = st.one_of(
    _PATH_AND_QUERY.map(lambda rest: b"/" + rest),
    _PATH_AND_QUERY.map(lambda rest: b"http://u@example.test:80/" + rest),
    st.sampled_from([b"example.test:443", b"[2001:db8::1]:443", b"*"]),
    st.lists(st.sampled_from(VISIBLE), min_size=1, max_size=30).map(bytes),
)
VALUE = st.lists(st.sampled_from([0x20, 0x09, *VISIBLE]), max_size=30).map(bytes).map(lambda raw: raw.strip(b" \t"))
FIELDS = st.lists(st.tuples(TOKEN.map(lambda name: b"x-" + name), VALUE), max_size=6)
CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=4)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, tuple[object, ...]]:
    """Return a valid request: its bytes, and its contents (method, target, headers, body, trailers)."""
    method, target = draw(TOKEN), draw(TARGET)
    fields = [(b"Host", b"a"), *draw(FIELDS)]
    chunks: list[bytes] = draw(CHUNKS)
    trailers: list[tuple[bytes, bytes]] = []
    body = b"".join(chunks)
    coded = body
    if draw(st.booleans()):
        fields.append((b"transfer-ENCODING", b"Chunked"))
        trailers = draw(FIELDS)
        extension = draw(st.sampled_from([b"", b";a", b' ;a="b;c"']))
        coded = b"".join(b"%X%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
        coded += b"0" + extension + b"\r\n" + _lines(trailers) + b"\r\n"
    elif body or draw(st.booleans()):
        fields.append((b"content-LENGTH", b"%d" % len(body)))
    head = method + b" " + target + b" HTTP/1.1\r\n" + _lines(fields) + b"\r\n"
    return head + coded, (method, target, tuple(fields), body, tuple(trailers))


def _lines(fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(name + b": " + value + b"\r\n" for name, value in fields)


@st.composite
def deliveries(draw: st.DrawFn, wire: bytes) -> list[list[bytes]]:
    """Return the pieces of three deliveries of the same bytes: whole, byte by byte, randomly split."""
    cuts = sorted(draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    at_random = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    return [[wire], [wire[i : i + 1] for i in range(len(wire))], at_random]
