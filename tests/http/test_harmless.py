"""Harmless reflection: no request makes a browser act on its response.

The payloads are those of the folder `payloads`. Each is sent in every place of a request where client bytes may appear.
A real Chromium loads the response in every format; the page is compared with that of a harmless twin.
"""

import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from signal import SIGTERM
from typing import Final, NamedTuple

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page

from app.echo.controls.definitions import CONTROLS, FORMAT_NAMES
from app.http.response import CSP
from tests.http import hostile
from tests.http.attacks import ALL, BY_KIND, MARKUP
from tests.http.browser import chromium
from tests.http.hostile import BATCHES, asking, encoded, harmless, request, twin
from tests.http.network import ECHO, EVIL, Network, network
from tests.http.page_requests import EVERYTHING
from tests.http.process import DEADLINE, Echo, read_to_end, running
from tests.http.visiting import Seen, visit

HTML: Final = "text/html; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
TYPES: Final = frozenset(
    (
        HTML,
        TEXT,
        "text/plain",
        "application/json",
        "application/yaml",
        "text/event-stream",
    )
)
# The names of all headers that a response may have without a request for others.
FIELDS: Final = frozenset(
    b"allow cache-control connection content-length content-security-policy content-type date location"
    b" trailer transfer-encoding vary x-accel-buffering x-content-type-options x-request-id".split()
)
FORMS: Final = [form for form in FORMAT_NAMES if form not in {"html", "yaml", "echo"}]
LAST: Final = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
# The console message for every status from 400 on.
STATUS: Final = "Failed to load resource: the server responded with a status of "
# The nodes that a browser creates to display plain text.
PLAIN: Final = {
    "#document > HTML ", "HTML > HEAD ", "HEAD > META name=color-scheme content=light dark",
    "HEAD > META charset=utf-8", "HTML > BODY ", "BODY > PRE ",
    "BODY > PRE style=word-wrap: break-word; white-space: pre-wrap;",
    "BODY > DIV class=json-formatter-container", "#document > #10",
}  # fmt: skip


class Looking(NamedTuple):
    """A browser in a network of its own, at a page of the echo's host; `said` collects its messages."""

    echo: Echo
    net: Network
    page: Page
    said: list[str]

    def see(self, requests: list[bytes], *, port: int = 0, framed: bool = True) -> list[Seen]:
        """Send requests, and load their responses; fails if one causes anything but a document."""
        paths = [self.net.forward(port or self.echo.port, each, framed=framed) for each in requests]
        seen = visit(self.page, paths, framed=framed)
        for path, document in zip(paths, seen, strict=True):
            assert document["url"] == f"http://{ECHO}{path}"
            check_head(self.net.answers[path])
        self.check_peace()
        return seen

    def check_peace(self) -> None:
        """Check that there are no messages, unexpected requests or cookies."""
        assert self.said == []
        assert self.net.strays == []
        assert self.page.context.cookies() == []


def check_head(answer: bytes, *more: bytes) -> list[tuple[bytes, bytes]]:
    """Check that a response has only headers of the echo and `more`; return its headers."""
    status, *lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert re.fullmatch(rb"HTTP/1\.1 [2-5][0-9]{2} [A-Za-z' -]+", status), status
    fields = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
    assert {name for name, _ in fields} <= FIELDS | set(more), fields
    only = dict(fields)
    assert only[b"content-type"].decode() in TYPES
    assert only[b"x-content-type-options"] == b"nosniff"
    assert only[b"content-security-policy"].decode().startswith(CSP)
    return fields


@pytest.fixture(scope="module")
def looking() -> Iterator[Looking]:
    """Yield the shared browser of these tests, with an echo that accepts large requests."""
    with (
        running(**hostile.SETTINGS) as echo,
        network() as net,
        chromium(net.rule, f"--unsafely-treat-insecure-origin-as-secure=http://{ECHO}") as browser,
    ):
        context = browser.new_context(service_workers="allow")
        said = listened(context)
        page = context.new_page()
        page.goto(net.page(ECHO, "/start", b"<!DOCTYPE html><title>start</title>", {"Content-Type": HTML}))
        yield Looking(echo, net, page, said)


def listened(context: BrowserContext) -> list[str]:
    """Return a list that will collect the dialogs, console messages and downloads of a context's pages."""
    said: list[str] = []

    def log(message: ConsoleMessage) -> None:
        if not message.text.startswith(STATUS):
            said.append(message.text)

    def end(dialog: Dialog) -> None:
        said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def listen(page: Page) -> None:
        page.on("download", lambda download: said.append(f"download: {download.url}"))

    context.on("console", log)
    context.on("dialog", end)
    context.on("page", listen)
    return said


def test_each_payload_of_markup_would_be_markup(looking: Looking) -> None:
    """Unescaped, each payload of markup creates nodes; its twin creates none."""
    texts = [[each.decode("utf-8", "replace") for each in (payload, twin(payload), b"")] for payload in MARKUP]
    made = looking.page.evaluate(
        """texts => texts.map(three => three.map(text => {
          const parsed = new DOMParser().parseFromString(`<!DOCTYPE html><b>Got: ${text}</b>!<p>`, "text/html");
          const walker = parsed.createTreeWalker(parsed, NodeFilter.SHOW_ALL & ~NodeFilter.SHOW_TEXT);
          let names = "";
          while (walker.nextNode()) {
            const {nodeName, attributes} = walker.currentNode;
            names += `${nodeName} ${attributes?.length} `;
          }
          return names;
        }))""",
        texts,
    )
    dead = [payload for payload, (hostile, _, nothing) in zip(MARKUP, made, strict=True) if hostile == nothing]
    assert dead == []
    assert [(twin, nothing) for _, twin, nothing in made if twin != nothing] == []
    assert len(ALL) > 700


def test_what_a_payload_does_would_be_seen(looking: Looking) -> None:
    """The checks detect a dialog, a request, a cookie, or a navigation on a page that is not harmless."""
    assert looking.page.context.browser is not None
    context = looking.page.context.browser.new_context()
    said = listened(context)
    page = context.new_page()
    script = (
        f"<script>alert(1);document.cookie='a=b'</script><img src=//{EVIL}/image onerror=location='//{EVIL}/place'>"
    )
    page.goto(looking.net.page(ECHO, "/evil", script.encode(), {"Content-Type": HTML}), wait_until="commit")
    page.wait_for_url(f"http://{EVIL}/place")
    assert said == ["dialog: 1"]
    assert looking.net.strays == [("GET", EVIL, "/image"), ("GET", EVIL, "/place")]
    assert [cookie["name"] for cookie in context.cookies(f"http://{ECHO}/")] == ["a"]
    context.close()
    looking.net.strays.clear()


def test_the_page_is_of_the_same_shape_whatever_is_sent(looking: Looking) -> None:
    """The page has the same nodes and attributes as for the harmless twin, and no kind that harmless requests lack."""
    kinds = tuple(hostile.BODIES)

    def seen(change: Callable[[bytes], bytes]) -> list[Seen]:
        return looking.see(
            [
                request([*map(change, batch)], b"echo_format=html", body=kinds[place % len(kinds)], one=place)
                for place, batch in enumerate(BATCHES)
            ]
        )

    hostiles, twins = seen(bytes), seen(twin)
    assert [each["count"] for each in hostiles] == [each["count"] for each in twins]
    assert [each["digest"] for each in hostiles] == [each["digest"] for each in twins]
    thirds = [(ALL[place % 3 :: 3], kind) for place, kind in enumerate(kinds)]  # as many as a body may have parts
    bodies = [request(payloads, b"echo_format=html", body=kind, fields=False) for payloads, kind in thirds]
    hostiles += looking.see(bodies)
    plain = EVERYTHING.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    peaceful = [request([*map(harmless, BATCHES[0][:9])], b"echo_format=html", body=kind) for kind in kinds]
    binary = request([b"\xff"], b"echo_format=html", body="text", fields=False)
    known = {line for each in looking.see([*peaceful, binary, plain]) for line in each["lines"]}
    assert {line for each in hostiles for line in each["lines"]} <= known


def test_the_page_is_harmless_as_it_stands(looking: Looking) -> None:
    """The page and the bare format are harmless in a window of their own, with their own headers unchanged."""
    hostiles = [request(BATCHES[0][:20], b"echo_format=html"), request(BATCHES[-1], b"echo_format=bare", body="text")]
    page, bare = looking.see(hostiles, framed=False)
    for payload in filter(str.isprintable, (each.decode("latin-1") for each in BATCHES[0][:20])):
        assert page["text"].count(payload) > 5
    assert bare["lines"] == ["#document > HTML ", "HTML > HEAD ", "HTML > BODY ", "BODY > B "]


@pytest.mark.parametrize("form", FORMS)
def test_every_other_form_is_a_bold_line_or_a_text(looking: Looking, form: str) -> None:
    """Every other format is a bold line or plain text, and no payload becomes a node."""
    query = b"echo_count=1&echo_format=" + form.encode()
    kinds = tuple(hostile.BODIES)
    # Lists are omitted: all places look alike here, and a longer text has the same shape.
    requests = [request(batch, query, body=kinds[at % 4], one=at, lists=False) for at, batch in enumerate(BATCHES)]
    seen = looking.see([*requests, request(BATCHES[0][::3], query, body="text")])
    bold = {"#document > HTML ", "HTML > HEAD ", "HTML > BODY ", "BODY > B "}
    for document in seen:
        assert set(document["lines"]) <= (bold if form == "bare" else PLAIN)
        assert (document["type"] == "text/html") == (form == "bare")
        assert document["charset"] == "UTF-8"


def test_yaml_is_not_shown_at_all(looking: Looking) -> None:
    """YAML is downloaded, not displayed."""
    path = looking.net.forward(looking.echo.port, request(ALL, b"echo_format=yaml", body="json", fields=False))
    with looking.page.expect_download() as download:
        looking.page.evaluate("path => { location.href = path; }", path)
    assert looking.said.pop() == f"download: {download.value.url}"
    check_head(looking.net.answers[path])
    looking.check_peace()


def test_refusals_are_texts(looking: Looking) -> None:
    """Rejections by controls, dialects, the server and the admin port are displayed as plain text or JSON."""
    names = [control.name.encode() for control in CONTROLS]
    requests = []
    for shift in range(len(names)):
        payloads = ALL[shift :: len(names)]
        pairs = b"&".join(
            b"echo_%b=%b" % (names[(at + shift) % len(names)], encoded(each)) for at, each in enumerate(payloads[:60])
        )
        requests.append(asking(b"echo_status=x&echo_format=%b&" % (b"json" if shift % 2 else b"text") + pairs))
    for batch in BATCHES[:3]:
        joined = b"".join(batch)
        requests.append(asking(b"echo_format=gateway-api&delay=" + encoded(joined)))
        value = b"".join(each for each in batch if each.isascii() and each.decode().isprintable())
        requests.append(asking(b"echo_format=gateway-api", fields=[(b"X-Echo-Set-Header", b"a b:" + value)]))
        requests.append(b"GET /" + joined + b" HTTP/1.1\r\n\r\n")
        requests.append(b"GET / HTTP/1.1\r\nHost: " + joined.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n\r\n")
        requests.append(b"GET / HTTP/1.1\r\nHost: a\r\n" + joined + b"\r\n\r\n")
        requests.append(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: <script>alert(1)</script>\r\n\r\n")
    requests.append(asking(b"", fields=[(b"Accept", b"image/svg+xml")]))
    for document in looking.see(requests):
        assert set(document["lines"]) <= PLAIN
    admin = [asking(b"q=" + encoded(b"".join(batch)), target=b"/" + encoded(b"".join(batch))) for batch in BATCHES]
    for document in looking.see(admin, port=looking.echo.admin_port):
        assert document["type"] == "application/json"
        assert set(document["lines"]) <= PLAIN


def test_a_body_is_a_text_whatever_it_begins_with(looking: Looking) -> None:
    """A body is plain text, even if it begins like a page, an image or a program, or with a byte order mark."""
    alone = [each for kind in ("known", "sniffing", "encodings") for each in BY_KIND[kind].bytes()]
    for document in looking.see([asking(b"echo_body=" + encoded(each)) for each in alone]):
        assert (document["type"], set(document["lines"]) <= PLAIN) == ("text/plain", True)


def heads(port: int, requests: list[bytes]) -> list[bytes]:
    """Send requests on one connection; return their complete responses, split by Content-Length."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
        sock.sendall(b"".join(requests) + LAST)
        come = read_to_end(sock)
    answers = []
    while come:
        length = re.search(rb"\r\nContent-Length: ([0-9]+)\r\n", come)
        assert length, come[:500]
        end = come.index(b"\r\n\r\n") + 4 + int(length[1])
        answers.append(come[:end])
        come = come[end:]
    assert len(answers) == len(requests) + 1
    return answers[:-1]


def unsplit(control: bytes, value: bytes) -> bytes:
    """Return a request with a control in its query."""
    return b"GET /a?echo_%b=%b HTTP/1.1\r\nHost: a\r\n\r\n" % (control, encoded(value))


@pytest.mark.parametrize("control", [b"header", b"cookie", b"redirect", b"status", b"seed", b"compress"])
def test_no_control_splits_an_answer(splitting: Echo, control: bytes) -> None:
    """Each request gets one response, with the echo's own headers and at most the requested one, each once."""
    prefix = {b"header": b"X-Asked:", b"cookie": b"asked="}.get(control, b"")
    values = [*(prefix + payload for payload in ALL), *ALL]
    asked, granted = {b"header": b"x-asked", b"cookie": b"set-cookie"}.get(control), 0
    for value, answer in zip(values, heads(splitting.port, [unsplit(control, each) for each in values]), strict=True):
        own = [value.partition(b":")[0].strip().lower()] if control == b"header" else []
        names = Counter(name for name, _ in check_head(answer, *own, *filter(None, [asked])))
        assert set(names.values()) == {1}, value
        granted += asked in names
    # A payload may contain nothing that is valid in a header value or a cookie.
    assert granted > {b"header": 500, b"cookie": 10}.get(control, -1)


@pytest.fixture(scope="module")
def splitting() -> Iterator[Echo]:
    """Yield an echo that allows cookies, and check that it writes nothing to stderr."""
    with running(allow_cookie="on") as echo:
        yield echo
        echo.end(SIGTERM)
        assert echo.errors() == ""


def test_no_redirect_leads_elsewhere(looking: Looking) -> None:
    """Chromium follows each accepted redirect to the same host; the others get 400."""
    paths = [looking.net.forward(looking.echo.port, asking(b"echo_redirect=" + encoded(each))) for each in ALL]
    looking.page.evaluate("paths => Promise.all(paths.map(path => fetch(path).catch(String)))", paths)
    statuses = Counter(looking.net.answers[path][9:12] for path in paths)
    assert set(statuses) == {b"302", b"400"}
    assert statuses[b"302"] > 10
    # A redirect to a fragment leads to the same path again, until Chromium stops.
    looking.said[:] = [each for each in looking.said if not each.endswith("net::ERR_TOO_MANY_REDIRECTS")]
    strays, looking.net.strays[:] = list(looking.net.strays), []
    assert {host for _, host, _ in strays} <= {ECHO}
    looking.check_peace()


# Embed each address in every way; each attempt must fail, or have no effect.
EMBEDDED: Final = """async ([addresses, own]) => {
  const done = element => new Promise(resolve => {
    element.onload = element.onerror = element.onloadedmetadata = resolve;
    document.body.append(element);
  });
  const made = (name, attributes) => done(Object.assign(document.createElement(name), attributes));
  const refused = promise => promise.then(() => "done", () => "");
  const found = [];
  for (const [url, shown] of addresses) {
    await Promise.all([
      made("script", {src: url}), made("script", {src: url, type: "module"}), made("img", {src: url}),
      made("link", {rel: "stylesheet", href: url}), made("video", {src: url}),
      ...(shown ? [made("iframe", {src: url}), made("object", {data: url}), made("embed", {src: url})] : []),
    ]);
    found.push(await refused(import(url)));
    found.push(await refused(new FontFace("x", `url(${url})`).load()));
    if (!own) { found.push(await refused(fetch(url))); continue; }
    found.push(await refused(navigator.serviceWorker.register(url)));
    found.push(await refused(navigator.serviceWorker.register(url, {type: "module"})));
    found.push(await refused(new Promise((started, failed) => {
      const worker = new Worker(url);
      worker.onmessage = started, worker.onerror = failed;
    })));
    found.push(await refused(WebAssembly.compileStreaming(fetch(url))));
  }
  const registrations = own ? await navigator.serviceWorker.getRegistrations() : [];
  // A picture of this host's own may be looked at, whatever it calls itself: it does nothing.
  const pictures = [...document.images].filter(image => image.naturalWidth && !own);
  return [found.filter(Boolean), registrations.length, typeof pwned, getComputedStyle(document.body).color,
    pictures.length];
}"""


@pytest.mark.parametrize("host", [EVIL, ECHO])
def test_no_page_can_make_anything_of_an_answer(looking: Looking, host: str) -> None:
    """A response is no script, module, worker, style, font, program, video or frame, for other hosts or its own."""
    assert looking.page.context.browser is not None
    script, style = b"self.pwned=1;self.postMessage&&postMessage(1)//", b"{}*{color:red!important}"
    queries = [b"echo_body=" + encoded(each) for each in (script, style, b"GIF89a=1;self.pwned=1", b"<svg/>")]
    queries += [
        b"echo_format=%b&%b" % (form, encoded(script)) for form in (b"json", b"text", b"html", b"bare", b"yaml")
    ]
    paths = [looking.net.forward(looking.echo.port, asking(query)) for query in queries]
    # YAML is downloaded, so that a frame would never load.
    addresses = [(f"http://{ECHO}{path}", b"yaml" not in query) for path, query in zip(paths, queries, strict=True)]
    context = looking.page.context.browser.new_context(service_workers="allow")
    page = context.new_page()
    page.goto(looking.net.page(host, "/embed", b"<!DOCTYPE html><body>", {"Content-Type": HTML}))
    made = page.evaluate(EMBEDDED, [addresses, host == ECHO])
    assert made == [[], 0, "undefined", "rgb(0, 0, 0)", 0]
    context.close()
    assert looking.net.strays == []
