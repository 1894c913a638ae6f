"""The reflection, and the answers made of it."""

import hashlib
import json

import pytest
from msgspec import structs

from app import identity
from app.answers import bare, pretty_json, wire_text
from app.bodies import KEPT, Meter
from app.names import canonical
from app.reflection import reflect
from app.wire import WireRequest

NOWHERE = identity.read({})


def request(target: bytes = b"/", *fields: tuple[bytes, bytes]) -> WireRequest:
    """Give a GET request."""
    return WireRequest(b"GET", target, "HTTP/1.1", fields)


def test_the_fields_of_the_gateway_apis_echo_have_its_names_and_meaning() -> None:
    """Its conformance client reads ours."""
    given = request(b"/a%2Fb?x=1", (b"hOST", b"example.org"), (b"x-a", b"2"), (b"X-A", b"1"))
    where = identity.read({"POD_NAME": "echo-1", "NAMESPACE": "test", "NODE_NAME": "n1", "POD_IP": ""})
    shown = json.loads(pretty_json(given, where))
    assert shown == {
        "path": "/a%2Fb?x=1",
        "host": "example.org",
        "method": "GET",
        "proto": "HTTP/1.1",
        "headers": {"Host": ["example.org"], "X-A": ["2", "1"]},
        "namespace": "test",
        "pod": "echo-1",
        "received": [["hOST", "example.org"], ["x-a", "2"], ["X-A", "1"]],
        "query": [["x", "1"]],
        "body": {
            "length": 0,
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "chunked": False,
            "truncated": False,
            "text": "",
        },
        "trailers": [],
        "kubernetes": {
            "node": "n1",
            "podIP": None,
            "hostIP": None,
            "serviceAccount": None,
            "zone": None,
            "region": None,
        },
    }


def test_outside_a_cluster_nothing_is_guessed() -> None:
    """No pod, no namespace: null."""
    shown = reflect(request(), NOWHERE)
    assert (shown.pod, shown.namespace, shown.kubernetes.node) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "written"),
    [("host", "Host"), ("X-FORWARDED-for", "X-Forwarded-For"), ("x_y", "X_y"), ("te", "Te"), ("-a--b", "-A--B")],
)
def test_field_names_are_written_as_most_people_do(name: str, written: str) -> None:
    """As Go's canonical form, which the Gateway API's client compares with."""
    assert canonical(name.encode()) == written


def test_any_bytes_make_json() -> None:
    """Obs-text and raw bytes never stop an answer."""
    every = bytes(range(0x80, 0x100))
    shown = json.loads(pretty_json(request(b"/" + every, (b"X", every)), NOWHERE))
    assert shown["headers"]["X"] == [every.decode("utf-8", "backslashreplace")]


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        (b"/blah/blah", "<b>Got: blah/blah</b>!"),
        (b"/", "<b>Got: </b>!"),
        (b"/a?b=c", "<b>Got: a</b>!"),
        (b"/<script>alert(1)</script>", "<b>Got: &lt;script&gt;alert(1)&lt;/script&gt;</b>!"),
        (b"/%3Cscript%3E%22%27&", "<b>Got: &lt;script&gt;&quot;&#x27;&amp;</b>!"),
        (b"/%2e%2e/%00/%ff/\xc3\xbc", "<b>Got: ../\x00/\ufffd/ü</b>!"),
    ],
)
def test_the_bare_answer_is_exact_and_harmless(target: bytes, answer: str) -> None:
    """The path without its slash, decoded, escaped; no newline."""
    assert bare(request(target), NOWHERE).decode() == answer


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([b"a", "ü".encode()], {"length": 3, "truncated": False, "text": "aü"}),
        ([b"\xff", b"a"], {"length": 2, "truncated": False, "base64": "/2E="}),
        ([b"a" * KEPT], {"length": KEPT, "truncated": False, "text": "a" * KEPT}),
        ([b"a" * KEPT, b"b"], {"length": KEPT + 1, "truncated": True, "text": "a" * KEPT}),
        ([b"a" * (KEPT - 1) + "ü".encode()], {"length": KEPT + 1, "truncated": True, "text": "a" * (KEPT - 1)}),
        (["ü".encode()[:1]], {"length": 1, "truncated": False, "base64": "ww=="}),
    ],
    ids=["text", "bytes", "as much as is kept", "more", "cut within a character", "ends within a character"],
)
def test_a_body_is_measured_whole_and_shown_from_its_beginning(pieces: list[bytes], shown: dict[str, object]) -> None:
    """As text if it is UTF-8, else in base64, and never more than is kept."""
    meter = Meter()
    for piece in pieces:
        meter.take(piece)
    carried = structs.replace(request(), body=meter.body(chunked=True), trailers=((b"X-T", b"1"),))
    reflected = json.loads(pretty_json(carried, NOWHERE))
    digest = hashlib.sha256(b"".join(pieces)).hexdigest()
    assert reflected["body"] == {"sha256": digest, "chunked": True, **shown}
    assert reflected["trailers"] == [["X-T", "1"]]


def test_the_wire_is_shown_as_it_was() -> None:
    """Byte for byte, also what is not UTF-8."""
    head = b"GET /\xff HTTP/1.1\r\nhOST:  a \r\n\r\n"
    known = structs.replace(request(), head=head, body=structs.replace(request().body, length=2, kept=b"\x00\xfe"))
    assert wire_text(known, NOWHERE) == head + b"\x00\xfe"


def test_where_the_wire_is_not_known_a_head_is_made_of_what_is() -> None:
    """Under another server than ours."""
    assert wire_text(request(b"/a?b", (b"Host", b"a")), NOWHERE) == b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n"
