"""The page for browsers: content, escaping, and its curl command."""

import re
import subprocess
from base64 import b64encode
from hashlib import sha256
from ipaddress import IPv4Network
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs

from app.config import downward_api
from app.config.policy import Policy
from app.config.settings import DEFAULT_MAX_DECODED
from app.echo.context import Context
from app.echo.formats import renderers
from app.echo.formats.html.components import ROWS, flatten
from app.echo.formats.html.curl import curl_command
from app.echo.formats.html.document import PAGE_HEADERS, render_page
from app.http.body import Body, BodyReader, parse_content_headers
from app.http.connection_info import Endpoint, ProxyProtocol
from app.http.controls_report import AppliedControl, ControlsReport, RejectedControl
from app.http.request import ConnectionInfo, HeaderList, HttpRequest, decode_lossless
from app.http.tls_info import Certificate, TlsInfo

NOWHERE = downward_api.read_pod_info({})
POD = downward_api.read_pod_info({"POD_NAME": "echo-1", "NAMESPACE": "shop", "NODE_NAME": "n1", "NODE_ZONE": "z1"})
HOST = (b"Host", b"example.test")
CLIENT = ConnectionInfo(Endpoint("192.0.2.1", 1234), Endpoint("192.0.2.2", 8080))
AGENT = ((b"User-Agent", b"b"), (b"Accept", b"*/*"))

ELEMENTS = (
    "a b body caption col colgroup div figcaption figure footer h1 h2 head header html li main meta nav ol p pre"
    " section strong style table tbody td th thead title tr ul"
)
ATTRIBUTES = "aria-label aria-labelledby charset class content data-column href id lang name role scope tabindex"
SECTIONS = "request fields query cookies body trailers client tls pod trace credentials applied curl"


def body_of(raw: bytes, fields: HeaderList = (), *, chunked: bool = False) -> Body:
    """Return a body as the server measures it."""
    meter = BodyReader(parse_content_headers(fields), DEFAULT_MAX_DECODED)
    meter.add_piece(raw)
    while meter.has_work:
        meter.step()
    return meter.finish(chunked=chunked)


def context(target: bytes = b"/", fields: HeaderList = (HOST,), body: bytes = b"", **more: Any) -> Context:
    """Return the context of a request at a fixed time; `more` belongs to the context or to the request."""
    wire = HttpRequest(b"GET", target, "HTTP/1.1", fields, body_of(body, fields))
    given = Context(wire, CLIENT, Policy(NOWHERE), "id-1", 1_700_000_000.25)
    of_context = {name: more.pop(name) for name in Context.__struct_fields__ if name in more}
    return structs.replace(given, request=structs.replace(wire, **more), **of_context)


def parsed(html: bytes) -> Element:
    """Parse a page by the HTML standard; any parse error fails."""
    tree: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html.decode())
    return tree


def text_of(element: Element) -> str:
    """Return all text in an element."""
    return "".join(element.itertext())


def rows_of(tree: Element, section: str) -> list[list[str]]:
    """Return the cells of the rows of a section's tables."""
    return [[text_of(cell) for cell in row] for row in tree.iterfind(f".//section[@id='{section}']//tbody/tr")]


def section_ids(tree: Element) -> list[str]:
    """Return the sections of a page."""
    return [section.attrib["id"] for section in tree.iter("section")]


@pytest.mark.parametrize("target", [b"/blah/blah", b"/<script>alert(1)</script>?q", b"/a%20'\"&b", b"*", b"/%ff\xff"])
def test_the_body_begins_with_the_bare_answer(target: bytes) -> None:
    """The body starts with the bare response, byte for byte, inside its header elements."""
    asked = context(target)
    html = render_page(asked)
    bare = renderers.render_bare(asked).body
    assert isinstance(bare, bytes)
    assert re.search(rb"<body>\s*<header>\s*<h1[^>]*>" + re.escape(bare) + b"</h1>", html)
    assert text_of(parsed(html)[1]).strip().startswith("Got: ")


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    """The policy allows the page's only style element by its hash, and nothing else."""
    html = render_page(context())
    (style,) = re.findall(rb"<style>(.*?)</style>", html, re.DOTALL)
    hashed = b64encode(sha256(style).digest()).decode()
    ((name, policy),) = PAGE_HEADERS
    assert name == "Content-Security-Policy"
    assert policy == (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-{hashed}'"
    )
    assert b"url(" not in style
    assert b"@import" not in style


def everything(text: str, raw: bytes, name: bytes) -> Context:
    """Return a request that has these values in every possible place."""
    certificate = Certificate(((text, text),), ((text, text),), (("DNS", text),), text, text, text, text)
    fields = (
        *(HOST, (name, raw), (b"X-Forwarded-For", raw), (b"Forwarded", b"for=" + raw)),
        *((b"Cookie", raw), (b"Authorization", b"Basic " + b64encode(raw + b":" + raw))),
        *((b"Content-Type", b"application/x-www-form-urlencoded"), (b"traceparent", raw)),
    )
    return context(
        b"/" + raw + b"?" + raw,
        fields,
        text.encode("utf-8", "replace"),
        connection=structs.replace(CLIENT, tls=TlsInfo("TLSv1.3", text, text, text, (text,), certificate)),
        policy=Policy(
            structs.replace(
                POD,
                pod=text,
                namespace=text,
                kubernetes=structs.replace(POD.kubernetes, node=text, labels={text: text}),
            )
        ),
        controls_report=ControlsReport(
            (AppliedControl("status", text, "query", text),), (RejectedControl(text, text, "header", text, text),)
        ),
        trailers=((name, raw),),
        method=raw or b"GET",
    )


MARKUP = r"""
<script>alert(1)</script> <img/src=x/onerror=alert(1)> <b> </pre> </style> </title> --> <!-- ]]> &lt; &#x3c; & '
"/onload="a {{ }} {{!style}} % \\ ü a
"""
CHARACTERS = " \t\n\r\0\x1b\x7f\x85\ud800\ufffe\U0001ffff\u202e"
HOSTILE = st.lists(st.sampled_from([*MARKUP.split(), *CHARACTERS]), max_size=8).map("".join)


@settings(max_examples=30)
@given(HOSTILE, st.binary(max_size=30))
def test_nothing_of_a_request_is_markup(text: str, noise: bytes) -> None:
    """Whatever a request contains, the page is valid HTML of our own elements and attributes.

    Its links refer to the page itself only.
    """
    raw = text.encode("utf-8", "surrogatepass") + noise
    tree = parsed(render_page(everything(text, raw, b"X-A")))
    assert {element.tag for element in tree.iter()} <= {*ELEMENTS.split()}
    assert {name for element in tree.iter() for name in element.attrib} <= {*ATTRIBUTES.split()}
    assert all(element.attrib["href"].startswith(("#", "?")) for element in tree.iter("a"))
    assert [len(list(tree.iter(tag))) for tag in ("b", "h1", "style", "title", "meta")] == [1, 1, 1, 1, 4]


PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=30)


@given(st.lists(st.tuples(PRINTABLE, PRINTABLE), min_size=1, max_size=5))
def test_fields_show_as_they_came(pairs: list[tuple[str, str]]) -> None:
    """Each header is in its own row, in order, character for character."""
    fields = tuple((b"X-" + str(len(name)).encode(), value.encode()) for name, value in pairs)
    assert rows_of(parsed(render_page(context(fields=fields))), "fields") == [
        [name.decode(), decode_lossless(value)] for name, value in fields
    ]


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("a\0b", "a␀b"),
        ("\x1b[31m", "␛[31m"),
        ("a\r\nb", "a␍\nb"),
        ("\x7f", "␡"),
        ("\x85\ufffe\U0010ffff", "���"),
        ("a\tb\n", "a\tb\n"),
        ("\n\na", "\n\na"),
    ],
)
def test_what_html_cannot_hold_shows_as_a_symbol(sent: str, seen: str) -> None:
    """Control characters are shown as control pictures and others as U+FFFD; tabs and line feeds are kept."""
    tree = parsed(render_page(context(body=sent.encode())))
    (pre,) = [pre for pre in tree.iter("pre") if pre.attrib["aria-label"] == "Body, as text"]
    assert text_of(pre) == seen


def test_an_empty_section_is_named_and_left_out() -> None:
    """Empty sections are omitted and listed in the footer, as for a plain GET."""
    tree = parsed(render_page(context()))
    assert section_ids(tree) == ["request", "fields", "client", "pod", "curl"]
    (footer,) = tree.iter("footer")
    assert "Not present in this request: Query, Cookies, Body, Trailers, TLS, Trace, Credentials, Controls." in text_of(
        footer
    )


def test_a_full_request_has_all_sections() -> None:
    """A request with everything has all sections, each linked in order."""
    tree = parsed(render_page(everything("a", b"a", b"X-A")))
    ids = SECTIONS.split()
    assert section_ids(tree) == ids
    assert [link.attrib["href"] for link in tree.iterfind(".//nav//a")] == [f"#{name}" for name in ids]


CLAIM = (
    "192.0.2.1 sent GET / with HTTP/1.1 to pod echo-1 in namespace shop."
    " It reports 1 hop before itself, but is not a trusted proxy."
)
TRUSTED = (IPv4Network("10.0.0.0/8"), IPv4Network("192.0.2.0/24"))


@pytest.mark.parametrize(
    ("told", "trusted", "stops", "sentence"),
    [
        (b"", (), ["Client 192.0.2.1"], "192.0.2.1 sent GET / with HTTP/1.1 to pod echo-1 in namespace shop."),
        (
            b"203.0.113.7, 10.0.0.4",
            TRUSTED,
            ["Client 203.0.113.7", "Trusted proxy 10.0.0.4", "Trusted proxy 192.0.2.1"],
            "203.0.113.7 sent GET / with HTTP/1.1 through 2 trusted proxies to pod echo-1 in namespace shop.",
        ),
        (b"203.0.113.7", (), ["Claimed 203.0.113.7", "Client 192.0.2.1"], CLAIM),
        (b"x" * 99, (), ["Claimed " + "x" * 47 + "…", "Client 192.0.2.1"], CLAIM),
        (
            b"10.0.0.1",
            TRUSTED,
            ["Client 10.0.0.1", "Trusted proxy 192.0.2.1"],
            "10.0.0.1 sent GET / with HTTP/1.1 through 1 trusted proxy to pod echo-1 in namespace shop.",
        ),
        (
            b"203.0.113.7" + b", 10.0.0.4" * 9,
            TRUSTED,
            ["Client 203.0.113.7", "Trusted proxy 10.0.0.4", "Between 6 more hops"]
            + ["Trusted proxy 10.0.0.4"] * 2
            + ["Trusted proxy 192.0.2.1"],
            "203.0.113.7 sent GET / with HTTP/1.1 through 10 trusted proxies to pod echo-1 in namespace shop.",
        ),
    ],
    ids=["alone", "believed", "not believed", "long name", "all trusted", "long"],
)
def test_the_way_is_told_as_far_as_it_is_known(
    told: bytes, trusted: tuple[IPv4Network, ...], stops: list[str], sentence: str
) -> None:
    """The client is the last hop that is not a trusted proxy; hops that others report are shown as claims."""
    fields = (HOST, (b"X-Forwarded-For", told)) if told else (HOST,)
    tree = parsed(render_page(context(fields=fields, policy=Policy(POD, trusted_proxies=trusted))))
    shown_stops = [" ".join(text_of(part) for part in stop[1:3]) for stop in tree.iterfind(".//ol/li")]
    assert shown_stops == [*stops, "Pod echo-1"]
    assert text_of(next(iter(tree.iterfind(".//p[@class='lead']")))).strip() == sentence


def test_the_proxy_protocols_word_shows_as_such() -> None:
    """With the PROXY protocol, the client is shown as reported by the proxy that is the peer."""
    proxied = ProxyProtocol(1, "PROXY", "TCP4", source=CLIENT.client, destination=CLIENT.server)
    html = text_of(parsed(render_page(context(connection=structs.replace(CLIENT, proxy=proxied)))))
    assert "reported by the PROXY protocol" in html
    assert "peer of the connection" not in html


def test_outside_a_cluster_the_echo_has_its_address() -> None:
    """Outside a cluster the echo is shown by its address, and the page says that no pod is known."""
    connection = structs.replace(CLIENT, server=Endpoint("2001:db8::1", 8080))
    html = text_of(parsed(render_page(context(connection=connection))))
    assert "to echo at [2001:db8::1]:8080." in html
    assert "Not in Kubernetes, or without downward API variables" in html


def test_what_was_asked_for_shows_with_what_became_of_it() -> None:
    """Controls are shown with the choices made, and with the reason if they were rejected."""
    asked = ControlsReport(
        (AppliedControl("delay", "1ms-2ms", "query", 0.0015), AppliedControl("status", "201", "header", UNSET)),
        (
            RejectedControl("echo_size", "9TiB", "query", "too large", "at most 1 GiB"),
            RejectedControl("echo_x", "1", "query", "unknown"),
        ),
    )
    assert rows_of(parsed(render_page(context(controls_report=asked))), "applied") == [
        ["delay", "1ms-2ms", "query", "Applied: 0.0015"],
        ["status", "201", "header", "Applied"],
        ["echo_size", "9TiB", "query", "Ignored: too large (at most 1 GiB)"],
        ["echo_x", "1", "query", "Ignored: unknown"],
    ]


def blocks_of(body: bytes, *fields: tuple[bytes, bytes]) -> dict[str, str]:
    """Return the texts of a body by their captions."""
    tree = parsed(render_page(context(fields=(HOST, *fields), body=body)))
    return {pre.attrib["aria-label"]: text_of(pre) for pre in tree.iterfind(".//section[@id='body']//pre")}


JSON = (b"Content-Type", b"application/json")


@pytest.mark.parametrize(
    ("body", "fields", "blocks"),
    [
        (b"plain", (), {"Body, as text": "plain"}),
        (b"\xff" * 60, (), {"Body, in base64": "/" * 76 + "\n" + "/" * 4}),
        (
            b'{"a":[1]}',
            (JSON,),
            {"Body, as text": '{"a":[1]}', "Body as indented JSON": '{\n  "a": [\n    1\n  ]\n}'},
        ),
        (b'{\n  "a": 1\n}\n', (JSON,), {"Body, as text": '{\n  "a": 1\n}\n'}),
        (b"[1", (JSON,), {"Body, as text": "[1"}),
    ],
    ids=["text", "binary", "json", "indented json", "broken json"],
)
def test_a_body_shows_as_what_it_is(body: bytes, fields: HeaderList, blocks: dict[str, str]) -> None:
    """A body is shown as text or as base64 in lines; compact JSON is also shown indented."""
    assert blocks_of(body, *fields) == blocks


def test_a_form_and_parts_are_tables() -> None:
    """Forms and multipart bodies are tables, according to Content-Type."""
    form = (HOST, (b"Content-Type", b"application/x-www-form-urlencoded"))
    assert ["a b", "1"] in rows_of(parsed(render_page(context(fields=form, body=b"a+b=1"))), "body")
    multipart = (HOST, (b"Content-Type", b"multipart/form-data; boundary=X"))
    raw = b'--X\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nhi\r\n--X--\r\n'
    row = ["f", "a.txt", "", "2 bytes", sha256(b"hi").hexdigest()]
    assert row in rows_of(parsed(render_page(context(fields=multipart, body=raw))), "body")


def test_deep_json_is_not_written_out() -> None:
    """Deeply nested JSON is not indented: its indentation would be most of four megabytes."""
    deep = b"[" * 60 + b",".join(b"1" for _ in range(30_000)) + b"]" * 60
    html = render_page(context(fields=(HOST, JSON), body=deep))
    assert b"JSON nested too deeply to be indented" in html
    assert len(html) < 500_000


def test_a_table_has_so_many_rows_and_says_how_many_more() -> None:
    """A table has a maximum number of rows and says how many are omitted.

    As many pairs as a target can hold still make a page that a browser can show.
    """
    html = render_page(context(b"/?" + b"a&" * 32_000))
    assert html.count(b"<tr") < ROWS + 100
    assert b"And 31,000 more" in html


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ({"a": {"b": [1, True, None]}}, [("a.b[0]", "1"), ("a.b[1]", "true"), ("a.b[2]", "null")]),
        ({"a": [["k", "v"], ["k", "w"]]}, [("a.k", "v"), ("a.k", "w")]),
        ({"a": [], "b": {}, "c": ""}, [("a", "[]"), ("b", "{}"), ("c", "")]),
        ({"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}, [("a.a.a.a.a.a", '{"a":1}')]),
    ],
    ids=["nested", "pairs", "empty", "deep"],
)
def test_nested_values_are_named_by_how_they_are_reached(value: object, rows: list[tuple[str, str]]) -> None:
    """Nested values are named by their path, as in the reflection, down to a few levels."""
    assert flatten(value) == rows


def test_the_other_forms_are_links_of_a_get_alone() -> None:
    """The page of a GET links to other formats with the same query, and never to another host."""
    tree = parsed(render_page(context(b"//evil.test/?a=%C3%A4&echo_format=html&<")))
    assert [link.attrib["href"] for link in tree.iterfind(".//footer//a")] == [
        f"?a=%C3%A4&%3C&echo_format={form}" for form in ("json", "yaml", "text")
    ]
    assert not list(parsed(render_page(context(method=b"POST"))).iterfind(".//footer//a"))


WORDS = st.one_of(
    st.binary(max_size=20),
    st.lists(
        st.sampled_from(
            ["'", '"', "\\", "$(id)", "`id`", "%s", "%", "!", "-n", "\t", "\n", "ü", "\u202e", "a", " ", "$'"]
        ),
        max_size=8,
    ).map(lambda parts: "".join(parts).encode()),
)


def in_shell(script: str) -> bytes:
    """Return what a script writes."""
    return subprocess.run(["sh", "-c", script], capture_output=True, timeout=20, check=True).stdout


# A function in place of curl, which writes its arguments, each with NUL after it; and one that writes the body.
ARGUMENTS = "curl() { printf '%s\\0' \"$@\"; }\n"
BODY = 'curl() { for last; do :; done; if test "$last" = @-; then cat; else printf %s "$last"; fi; }\n'


@settings(max_examples=25)
@given(st.lists(WORDS, max_size=30))
def test_no_byte_gets_out_of_the_shells_quotes(words: list[bytes]) -> None:
    """The shell passes on header values byte for byte, each as one argument, and executes none of them."""
    values = [value for raw in words if (value := re.sub(rb"[\0\r\n]", b"", raw))]
    fields = [(b"X-%d" % number, value) for number, value in enumerate(values)]
    written = in_shell(ARGUMENTS + curl_command(context(b"/", (HOST, *AGENT, *fields))).text)
    headers = [word for field in (*AGENT, *fields) for word in (b"--header", b"%s: %s" % field)]
    assert written.split(b"\0") == [b"http://example.test/", *headers, b""]


@settings(max_examples=25)
@given(WORDS)
def test_no_byte_of_a_body_gets_out_of_the_shells_quotes(raw: bytes) -> None:
    """The shell passes on a body byte for byte, as an argument or on stdin."""
    fields = (HOST, (b"Content-Length", b"%d" % len(raw)))
    assert in_shell(BODY + curl_command(context(b"/", fields, body=raw, method=b"POST")).text) == raw


def curl(target: bytes = b"/", *fields: tuple[bytes, bytes], host: bytes | None = b"a", **more: Any) -> list[str]:
    """Return the words of the command for a request with curl's default headers, without these headers."""
    hosts = () if host is None else ((b"Host", host),)
    words = curl_command(context(target, (*hosts, *AGENT, *fields), **more)).text.split(" \\\n  ")
    assert {"--header 'User-Agent: b'", "--header 'Accept: */*'"} <= set(words)
    return [word for word in words if not word.startswith(("--header 'User-Agent:", "--header 'Accept:"))]


A = "curl http://a/"
SERVER = "curl http://192.0.2.2:8080/"
TYPE = (b"Content-Type", b"b")
TYPED = "--header 'Content-Type: b'"


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (curl(b"/c?d=%20'"), ["""curl 'http://a/c?d=%20'"'"''"""]),
        (curl(b"/c/../d"), ["curl http://a/c/../d", "--path-as-is"]),
        (curl(b"/%2E/d"), ["curl http://a/%2E/d", "--path-as-is"]),
        (curl(b"/c/%2e"), [A, "--request-target /c/%2e"]),
        (curl(b"/c#d"), [A, "--request-target '/c#d'"]),
        (curl(b"/c[1-9]{a,b}"), [A, "--request-target '/c[1-9]{a,b}'"]),
        (curl(b"/\xe9"), [A, '--request-target "$(echo L+k= | base64 -d)"']),
        (curl(b"http://b/c"), [A, "--request-target http://b/c"]),
        (curl(host=b"a.test:81"), ["curl http://a.test:81/"]),
        (curl(host=b"127.0.0.1:8080"), ["curl http://127.0.0.1:8080/"]),
        (curl(host=b"a:80"), ["curl http://a:80/", "--header 'Host: a:80'"]),
        (curl(host=b"A"), ["curl http://A/", "--header 'Host: A'"]),
        (curl(host=b"127.1"), ["curl http://127.1/", "--header 'Host: 127.1'"]),
        (curl(host=b"[::1]:8080"), ["curl 'http://[::1]:8080/'", "--globoff", "--header 'Host: [::1]:8080'"]),
        (curl(host=b"a@b"), [SERVER, "--header 'Host: a@b'"]),
        (curl(host=b"a:99999"), [SERVER, "--header 'Host: a:99999'"]),
        (curl(host=b""), [SERVER, "--header 'Host;'"]),
        (curl(host=None), [SERVER, "--header 'Host:'"]),
        (curl(version="HTTP/1.0"), [A, "--http1.0"]),
        (curl(version="HTTP/2.0"), [A, "--http2-prior-knowledge"]),
        (curl(connection=structs.replace(CLIENT, tls=TlsInfo("", "", ""))), ["curl https://a/", "--http1.1"]),
        (curl(method=b"HEAD"), [A, "--head"]),
        (curl(method=b"it's"), [A, """--request 'it'"'"'s'"""]),
        (curl(b"/", (b"B", b""), (b"b", b"1")), [A, "--header 'B;'", "--header 'b: 1'"]),
        (curl(b"/", (b"Connection", b"close, C"), (b"c", b"1"), (b"TE", b"trailers")), [A]),
        (curl(b"/", TYPE, body=b"@/etc/passwd", method=b"POST"), [A, TYPED, "--data-raw @/etc/passwd"]),
        (curl(b"/", TYPE, (b"Content-Length", b"0")), [A, "--request GET", TYPED, "--data-raw ''"]),
        (curl(b"/", TYPE, body=b"a\nb ", method=b"POST"), [A, TYPED, "--data-raw 'a\nb '"]),
        (
            curl(b"/", TYPE, body=b"a\r\n%", method=b"POST"),
            ["echo YQ0KJQ== | base64 -d |\n" + A, TYPED, "--data-binary @-"],
        ),
        (
            curl(b"/", TYPE, body=b"=ls", method=b"POST"),
            ["echo PWxz | base64 -d |\n" + A, TYPED, "--data-binary @-"],
        ),
        (
            curl(b"/", TYPE, body=b"\xff", method=b"POST"),
            ["echo /w== | base64 -d |\n" + A, TYPED, "--data-binary @-"],
        ),
    ],
)
def test_a_request_is_a_curl_command(words: list[str], command: list[str]) -> None:
    """The command is minimal, and has all options that prevent curl from changing the request."""
    assert words == command


def test_curl_adds_nothing_of_its_own() -> None:
    """Headers that curl would add are removed if the request did not have them."""
    command = curl_command(context(body=b"a", method=b"POST")).text
    for name in ("User-Agent", "Accept", "Content-Type"):
        assert f"--header '{name}:'" in command


def test_what_curl_cannot_send_is_said() -> None:
    """Omissions are listed: headers of the connection, the rest of a body, and trailers."""
    fields = (HOST, (b"Connection", b"close"), (b"Content-Length", b"70000"))
    asked = context(fields=fields, body=b"a" * 70_000, trailers=((b"a", b"b"),), method=b"PUT")
    assert list(curl_command(asked).remarks) == [
        "Without Connection, Content-Length: curl sets them itself, or they apply to one connection only.",
        "It sends the first 65,536 of 70,000 bytes of the body.",
        "It sends no trailers: curl has no option for them.",
    ]
