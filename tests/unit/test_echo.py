"""The response to one request under any WSGI server.

Format, status, headers and body, as the application returns them.
"""

import json
from typing import Any

import brotli  # type: ignore[import-untyped] # it publishes no types
import msgspec
import pytest
import yaml

from app.config import downward_api, policy
from app.config.settings import Settings
from app.echo.controls.apply import ControlledResponse
from app.echo.formats import renderers
from app.echo.formats.sse import INTERVAL
from app.echo.handler import EchoHandler
from app.http.controls_report import ControlsReport
from app.http.request import NO_OPTIONS, WEBSOCKET_KEY, HeaderList, HttpRequest, ResponseOptions
from app.http.response import CSP
from tests.unit.served import environ_for

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


class Asking:
    """An echo with a clock that stands still."""

    def __init__(self, **settings: Any) -> None:
        self.now = 1_700_000_000.25
        configured = Settings(**settings)
        self._echo = EchoHandler(
            configured, policy.build_policy(configured, downward_api.read_pod_info({})), clock=lambda: self.now
        )

    def __call__(
        self, target: str = "/a", *fields: tuple[str, str], method: str = "GET", **environ: Any
    ) -> ControlledResponse:
        """Send a request for a target with these headers."""
        wire: HeaderList = tuple((name.encode(), value.encode("latin-1")) for name, value in fields)
        request = HttpRequest(method.encode(), target.encode(), "HTTP/1.1", wire)
        return self._echo.handle(environ_for(request) | environ)


ASK = Asking()


def whole(outcome: ControlledResponse) -> bytes:
    """Return the whole body of a response."""
    return outcome.body if isinstance(outcome.body, bytes) else b"".join(outcome.body)


def field(outcome: ControlledResponse, name: str) -> str:
    """Return the value of the only header of this name."""
    (value,) = [value for each, value in outcome.headers if each == name]
    return value


BEGINNINGS = {
    "bare": b"<b>Got: a</b>!",
    "html": b"<!",
    "json": b"{\n",
    "text": b"GET /a",
    "yaml": b"path: /a",
    "events": b"id: 1\nevent: reflection\ndata: {",
}


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "bare"),
        ("*/*", "bare"),
        ("nonsense", "bare"),
        ("text/html", "html"),
        (CHROMIUM, "html"),
        ("text/*", "html"),
        ("application/json", "json"),
        ("Application/JSON; charset=utf-8", "json"),
        ("text/plain", "text"),
        ("application/yaml", "yaml"),
        ("text/event-stream", "events"),
        ("application/json, text/plain, */*", "json"),
        ("image/avif,image/webp,*/*;q=0.8", "bare"),
        ("*/*, application/json", "json"),
        ("*/*, application/json;q=0.9", "bare"),
        ("application/*", "json"),
        ("text/html;q=0.1, */*;q=0.2", "json"),
    ],
)
def test_one_url_answers_in_the_form_that_is_accepted(accept: str, form: str) -> None:
    """Clients that accept anything get the bare response; clients that name text/html get the page."""
    answer = ASK("/a", *([("Accept", accept)] if accept else []))
    assert answer.status == 200
    assert whole(answer).startswith(BEGINNINGS[form])


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "image/png, nonsense"])
def test_who_takes_none_of_them_is_told_which_there_are(accept: str) -> None:
    """If no accepted type is available, the response is 406 with media types and names for echo_format.

    The parameter echo_format overrides Accept.
    """
    answer = ASK("/a", ("Accept", accept))
    assert answer.status == 406
    for media_type, name in renderers.media_types():
        assert media_type in whole(answer).decode()
        assert f"echo_format={name}" in whole(answer).decode()
    assert ASK("/a?echo_format=json", ("Accept", accept)).status == 200


@pytest.mark.parametrize("form", BEGINNINGS)
def test_a_form_can_be_named(form: str) -> None:
    """A format can be chosen in the query or in a header."""
    for answer in (ASK(f"/a?echo_format={form}", ("Accept", "image/png")), ASK("/a", ("x-echo-FORMAT", form))):
        assert whole(answer).startswith(BEGINNINGS[form])


@pytest.mark.parametrize("form", ["bare", "html", "json", "text", "yaml"])
def test_the_operator_sets_the_form_for_who_takes_any(form: str) -> None:
    """The default format applies to clients that accept anything; a named type overrides it."""
    ask = Asking(format=form)
    assert whole(ask()).startswith(BEGINNINGS[form])
    assert whole(ask("/a", ("Accept", "*/*"))).startswith(BEGINNINGS[form])
    assert whole(ask("/a", ("Accept", "text/plain"))).startswith(b"GET /a")
    assert whole(ask("/a", ("Accept", "text/plain, */*;q=0.9"))).startswith(b"GET /a")


def test_every_answer_says_whose_it_is_and_is_kept_by_nobody() -> None:
    """Every response, also an error, has a request ID, forbids caching, and has the headers that make it harmless."""
    targets = ["/", "/?echo_status=1", *(f"/?echo_format={form}" for form in (*renderers.RENDERERS, "events"))]
    for answer in (*map(ASK, targets), ASK("/", ("Accept", "image/png"))):
        assert field(answer, "X-Content-Type-Options") == "nosniff"
        assert field(answer, "Content-Security-Policy").startswith(CSP)
        assert field(answer, "Cache-Control") == "no-store"
        assert len(field(answer, "X-Request-Id")) == 32


@pytest.mark.parametrize(
    ("given", "taken"),
    [("a", True), ("01ARZ3NDEK-._:/+=@~", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("", False),
     ("<b>", False), ("ü", False), ("a,a", False)],
)  # fmt: skip
def test_a_request_id_is_taken_over_when_it_is_sane(given: str, taken: bool) -> None:  # noqa: FBT001 - a column
    """A valid request ID is kept; otherwise one is generated. It is the reflection's `id` too."""
    answer = ASK("/", ("X-Request-Id", given), ("Accept", "application/json"))
    assert (field(answer, "X-Request-Id") == given) is taken
    assert json.loads(whole(answer))["id"] == field(answer, "X-Request-Id")
    assert field(ASK("/"), "X-Request-Id") != field(ASK("/"), "X-Request-Id")


def test_json_is_pretty_unless_it_is_not_to_be() -> None:
    """JSON is indented by default; the setting changes that, and the request overrides the setting."""
    compact = Asking(pretty="off")
    json_field = ("Accept", "application/json")
    assert whole(ASK("/", json_field)).startswith(b'{\n  "path": "/",')
    assert whole(ASK("/?echo_pretty=0", json_field)).startswith(b'{"path":"/?echo_pretty=0",')
    assert whole(compact("/", json_field)).startswith(b'{"path":"/",')
    assert whole(compact("/?echo_pretty=1", json_field)).startswith(b'{\n  "path"')


def test_json_and_yaml_are_the_same_reflection() -> None:
    """JSON and YAML show the same reflection, except for path, query and controls, which differ in the format."""
    given = [("X-Request-Id", "1"), ("a", "x\xff\x85\t"), ("Cookie", "a=b")]
    told = [json.loads(whole(ASK("/?echo_format=json&b=%00&c", *given)))]
    told.append(yaml.safe_load(whole(ASK("/?echo_format=yaml&b=%00&c", *given))))
    for each in told:
        del each["path"], each["query"], each["applied"]
    assert told[0] == told[1]
    assert told[0]["headers"]["A"] == ["x\\xff\\x85\t"]
    assert told[0]["time"] == "2023-11-14T22:13:20.250Z"


def test_what_was_asked_for_is_shown_and_done() -> None:
    """Controls are applied and shown with the choices made; unknown controls are shown as rejected."""
    answer = ASK("/?echo_format=json&echo_status=418:1,419:0&echo_header=X-A:b&echo_foo=1", ("X-Echo-Delay", "1s"))
    assert (answer.status, field(answer, "X-A"), answer.options) == (418, "b", ResponseOptions(delay=1.0))
    applied = json.loads(whole(answer))["applied"]
    assert [(each["name"], each["source"], each.get("done")) for each in applied["granted"]] == [
        ("delay", "header", 1.0),
        ("format", "query", None),
        ("status", "query", 418),
        ("header", "query", None),
    ]
    assert [each["name"] for each in applied["refused"]] == ["echo_foo"]


def test_a_mistake_is_answered_in_json_to_who_wants_json() -> None:
    """An error is JSON for clients that accept JSON, and no other control is applied."""
    answer = ASK("/?echo_status=999&echo_delay=1s", ("Accept", "application/json"))
    told = json.loads(whole(answer))
    assert (answer.status, answer.options) == (400, NO_OPTIONS)
    assert told["error"].startswith("400 Bad Request")
    assert told["id"] == field(answer, "X-Request-Id")
    assert told["applied"]["granted"] == []
    (refused,) = told["applied"]["refused"]
    assert refused == {
        "name": "echo_status",
        "value": "999",
        "source": "query",
        "reason": "999 is out of range",
        "bound": "200 to 599, or a weighted list of up to 32 such as 500:10,200:90",
    }


@pytest.mark.parametrize("form", ["", *renderers.RENDERERS, "events"])
def test_to_everybody_else_a_mistake_is_lines_of_text(form: str) -> None:
    """For other clients an error is plain text and never HTML, because it quotes what the client sent."""
    answer = ASK("/?echo_size=<script>%0a" + (f"&echo_format={form}" if form else ""))
    assert answer.status == 400
    if form != "json":
        assert field(answer, "Content-Type") == "text/plain; charset=utf-8"
        (line,) = whole(answer).decode().splitlines()[1:]
        assert line.startswith('  echo_size="<script>\\n": invalid size; must be at most 1073741824')


def test_events_are_reflections_a_second_apart() -> None:
    """Events are reflections one second apart, each with its own time, in the requested number.

    A header disables buffering in proxies.
    """
    ask = Asking(max_events=7)
    answer = ask("/", ("Accept", "text/event-stream"))
    kept = 4 * len("/Accepttext/event-stream")  # size of the request, which is kept as long as there are events
    assert (answer.options, field(answer, "X-Accel-Buffering")) == (
        ResponseOptions(is_streamed=True, interval=INTERVAL, is_endless=True, buffered_bytes=kept),
        "no",
    )
    times = []
    for number, event in enumerate(answer.body, 1):
        assert isinstance(event, bytes)
        lines = event.decode().split("\n")
        assert (lines[:2], lines[3:]) == ([f"id: {number}", "event: reflection"], ["", ""])
        times.append(json.loads(lines[2].removeprefix("data: "))["time"])
        ask.now += 1
    assert times == [f"2023-11-14T22:13:2{second}.250Z" for second in range(5)]
    assert len(list(ask("/?echo_format=events&echo_count=7").body)) == 7
    assert ask("/?echo_count=8").status == 400
    assert len(list(Asking(max_events=2)("/?echo_format=events").body)) == 2


def test_who_has_had_all_events_is_told_not_to_come_again() -> None:
    """A client that has received all events gets 204, or a browser would reconnect; missed events are sent."""
    accept = ("Accept", "text/event-stream")
    assert ASK("/", accept, ("Last-Event-ID", "5")).status == 204
    events = list(ASK("/", accept, ("Last-Event-ID", "3")).body)
    assert [event[:5] for event in events if isinstance(event, bytes)] == [b"id: 4", b"id: 5"]
    assert len(list(ASK("/", accept, ("Last-Event-ID", "x")).body)) == 5


@pytest.mark.parametrize("wish", ["drip=1s", "drip=0", "compress=gzip"])
def test_events_have_their_own_time(wish: str) -> None:
    """Events are not spread and not compressed, because nothing may wait until there is enough to compress."""
    answer = ASK(f"/?echo_format=events&echo_{wish}")
    assert answer.status == 400
    assert b"not supported for server-sent events" in whole(answer)
    assert ASK(f"/?echo_{wish}", ("Accept", "text/event-stream")).status == 400
    assert ASK(f"/?echo_format=events&echo_size=5&echo_{wish}").status == 200


def test_what_has_nothing_to_do_is_shown_as_refused() -> None:
    """A control without effect is shown as rejected, but is no error."""
    told = json.loads(whole(ASK("/?echo_format=json&echo_count=3&echo_seed=1")))["applied"]
    assert [each["name"] for each in told["granted"]] == ["format"]
    assert {each["name"]: each["reason"] for each in told["refused"]} == {
        "echo_count": "no effect: the response is not server-sent events",
        "echo_seed": "no effect: nothing is chosen at random",
    }


def test_the_coding_that_was_chosen_is_shown() -> None:
    """The chosen coding is shown, also if it is identity."""
    for accepted, coding in (("br, gzip;q=0.5", "br"), ("", "identity")):
        answer = ASK("/?echo_format=json&echo_compress=auto", ("Accept-Encoding", accepted))
        body = brotli.decompress(whole(answer)) if coding == "br" else whole(answer)
        assert json.loads(body)["applied"]["granted"][1]["done"] == coding


def test_a_request_without_an_id_has_no_first_tries() -> None:
    """Without a request ID, fail_first has no effect, because each request would be the first."""
    assert b"X-Echo-Fail-First" in whole(ASK("/", ("X-Echo-Fail-First", "1")))
    statuses = [ASK("/?echo_fail_first=1", ("X-Request-Id", "one")).status for _ in range(3)]
    assert statuses == [503, 200, 200]


def test_with_a_seed_an_echo_is_the_same_after_each_start() -> None:
    """With a seed, the same choices are made in the same order after each start."""
    first, second = Asking(seed="7"), Asking(seed="7")
    query = "/?echo_status=200,201,202,203&echo_delay=0-1s"
    told = [
        [(answer.status, answer.options.delay) for answer in (ask(query) for _ in range(10))] for ask in (first, second)
    ]
    assert told[0] == told[1]
    assert len({delay for _, delay in told[0]}) == 10


def test_redacted_fields_are_in_no_answer() -> None:
    """Redacted headers are masked in responses if the operator enables it; otherwise they are shown as received."""
    ask = Asking(redact="Authorization,Cookie", redact_responses="on")
    secrets = [("Authorization", "Basic YTpzZWNyZXQ="), ("cookie", "a=secret"), ("X-A", "open")]
    for form in (*renderers.RENDERERS, "events"):
        told = whole(ask(f"/?echo_format={form}", *secrets))
        assert b"secret" not in told
        assert b"YTpzZWNyZXQ" not in told
        assert b"open" in told or form not in {"html", "json", "text", "yaml", "events"}
    answer = Asking(redact="X-Request-Id", redact_responses="on")("/?echo_format=json", ("X-Request-Id", "secret"))
    assert b"secret" not in whole(answer)
    assert field(answer, "X-Request-Id") != "secret"
    assert b"a=secret" in whole(Asking(redact="Cookie")("/?echo_format=text", *secrets))


@pytest.mark.parametrize("form", [*renderers.RENDERERS, "events"])
def test_connect_opens_no_tunnel(form: str) -> None:
    """CONNECT never opens a tunnel, in any format and with any controls."""
    for fields in ([], [("X-Echo-Body", "hi")], [("X-Echo-Size", "5")], [("Last-Event-ID", "99")]):
        answer = ASK("b.test:443", ("X-Echo-Format", form), *fields, method="CONNECT")
        assert answer.status // 100 in {4, 5}
    assert ASK("b.test:443", ("Accept", "text/event-stream"), method="CONNECT").status == 501
    assert ASK("b.test:443", ("X-Echo-Status", "403"), method="CONNECT").status == 403


@pytest.mark.parametrize(
    ("fields", "beginning"),
    [
        ((), b"{\n"),
        ((("Accept", "*/*"),), b"{\n"),
        ((("Accept", "text/plain"),), b"GET"),
        ((("X-Echo-Format", "bare"),), b"<b>"),
        ((("X-Echo-Format", "events"),), b"{\n"),
        ((("Accept", "text/event-stream"),), b"{\n"),
        ((("Accept", "image/png"),), b"{\n"),
    ],
)
def test_a_websocket_begins_with_the_reflection_in_the_form_that_is_asked_for(
    fields: tuple[tuple[str, str], ...], beginning: bytes
) -> None:
    """The first message of a WebSocket is the reflection in the requested format, by default JSON."""
    websocket: dict[str, Any] = {WEBSOCKET_KEY: True}
    answer = ASK("/", *fields, **websocket)
    assert whole(answer).startswith(beginning)


@pytest.mark.parametrize(
    ("origins", "seen"),
    [
        ((), True),
        (("http://h",), True),
        (("https://H",), True),
        (("http://evil.test",), False),
        (("http://h.evil.test",), False),
        (("http://h:81",), False),
        (("null",), False),
        (("",), False),
        (("h",), False),
        (("http://h", "http://evil.test"), False),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"redact": "X-Token", "format": "text"}, {"dialect": "whoami"}])
def test_a_page_of_another_origin_reads_no_credentials(
    origins: tuple[str, ...],
    seen: bool,  # noqa: FBT001 - a column
    settings: dict[str, str],
) -> None:
    """Pages of another origin see no credentials on a WebSocket.

    Any page can open and read one (RFC 6455, 10.2), and the browser sends its cookies with it.
    """
    websocket: dict[str, Any] = {WEBSOCKET_KEY: True}
    secret = (("Cookie", "a=c2VjcmV0"), ("Authorization", "Basic YTpiOmMyVmpjbVYw"))
    fields = (("Host", "h"), *secret, *(("Origin", each) for each in origins))
    answer = whole(Asking(**settings)("/headers", *fields, **websocket))
    assert (b"c2VjcmV0" in answer, b"YTpiOmMyVmpjbVYw" in answer) == (seen, seen)
    assert b"c2VjcmV0" in whole(Asking(**settings)("/headers?echo_format=json", *fields))


def test_a_dialect_is_spoken_by_a_whole_echo_or_for_one_request() -> None:
    """A dialect applies to the whole echo or to one request, and `echo` selects our own formats again."""
    whoami = Asking(dialect="whoami")
    assert whole(whoami("/", ("Accept", "application/json"))).startswith(b"Hostname: ")
    assert whole(whoami("/?echo_format=json")).startswith(b"{\n")
    assert whole(whoami("/?echo_format=echo")).startswith(b"<b>Got: </b>!")
    assert whole(ASK("/?echo_format=whoami")).startswith(b"Hostname: ")


def test_nothing_refused_shows_as_nothing_refused() -> None:
    """Without rejected controls, which is the usual case, none are listed."""
    told = msgspec.json.decode(whole(ASK("/?echo_format=json")))
    assert msgspec.convert(told["applied"] | {"granted": []}, ControlsReport) == ControlsReport()


@pytest.mark.parametrize(
    ("settings", "target", "status"),
    [
        ({"max_delay": 1.0}, "/?delay=2s", 400),
        ({"max_delay": 3.0}, "/?delay=2s", 200),
        ({"allow_delay": "off"}, "/?delay=1s", 400),
        ({"controls": "off"}, "/status/418", 400),
        ({}, "/status/418", 418),
    ],
)
def test_a_dialect_does_no_more_than_the_operator_lets_a_client_ask_for(
    settings: dict[str, Any], target: str, status: int
) -> None:
    """The limits and switches of controls apply to dialects too."""
    assert Asking(dialect="gateway-api", **settings)(target).status == status


def test_a_field_that_is_asked_for_stands_in_the_place_of_our_own() -> None:
    """A requested header replaces our own, so that there is never more than one of it."""
    answer = ASK("/?echo_header=Cache-Control:max-age%3D1")
    assert field(answer, "Cache-Control") == "max-age=1"
    answer = ASK("/", ("X-Echo-Format", "gateway-api"), ("X-Echo-Set-Header", "X-A:ü, X-Content:b"))
    assert (answer.status, field(answer, "X-Content-Type-Options")) == (200, "nosniff")
    assert ASK("/", ("X-Echo-Format", "gateway-api"), ("X-Echo-Set-Header", "Vary:a")).status == 400
