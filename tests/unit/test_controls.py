"""Controls of a request: what is applied, rejected and ignored."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from app.config.settings import Settings
from app.echo.controls.definitions import CONTROLS
from app.echo.controls.params import NO_CONTROLS, ControlParams
from app.echo.controls.parse import MAX_CONTROLS, NO_PARSED_CONTROLS, ParsedControls, parse_controls
from app.http.controls_report import AppliedControl, ControlsReport, RejectedControl
from app.http.request import HeaderList, HttpRequest

SETTINGS = Settings(allow_cookie="on")


def asked(query: str = "", *fields: tuple[str, str], settings: Settings = SETTINGS, **request: Any) -> ParsedControls:
    """Return the controls of a request with this query and these headers."""
    wire: HeaderList = tuple((name.encode(), value.encode()) for name, value in fields)
    target = b"/a" + (b"?" + query.encode() if query else b"")
    return parse_controls(HttpRequest(request.pop("method", b"GET"), target, "HTTP/1.1", wire), settings, **request)


@pytest.mark.parametrize(
    "query", ["", "a=b", "echo=1", "xecho_status=500", "ECHO_STATUS=500", "a=echo_status=500", "%zz"]
)
def test_most_requests_ask_for_nothing(query: str) -> None:
    """Requests without controls apply nothing, even if their query looks like a control."""
    assert asked(query, ("X-Echo", "1"), ("X_Echo_Status", "500"), ("Accept", "x-echo-status")) is NO_PARSED_CONTROLS


@pytest.mark.parametrize(
    ("query", "wish"),
    [
        ("echo_format=JSON", {"format": "json"}),
        ("echo_pretty=0", {"pretty": False}),
        ("echo_abort=middle", {"abort": "middle"}),
        ("echo_fail_first=2", {"fail_first": 2}),
        ("echo-fail-first=2", {"fail_first": 2}),
        ("echo_body=a%00b+c", {"body": b"a\0b c"}),
        ("echo_body=", {"body": b""}),
        ("echo_body=%ff", {"body": b"\xff"}),
        ("echo_size=10MiB", {"size": 10 << 20}),
        ("echo_drip=2s", {"drip": 2.0}),
        ("echo_redirect=/b%3Fc", {"redirect": "/b?c"}),
        ("echo_redirect=/b c", {"redirect": "/b%20c"}),
        ("echo_compress=br", {"compress": "br"}),
        ("echo_count=7", {"count": 7}),
        ("echo_seed=a", {"seed": "a"}),
        ("echo_header=X-A:%20b&echo_header=X-B:", {"header": (("X-A", "b"), ("X-B", ""))}),
        ("echo_header=X-A:%C3%BC", {"header": (("X-A", "ü"),)}),
        ("echo_cookie=a=b", {"cookie": (("Set-Cookie", "a=b; HttpOnly; SameSite=Strict"),)}),
        ("%65cho_pretty=1", {"pretty": True}),
    ],
)
def test_a_query_asks_for_what_it_says(query: str, wish: dict[str, object]) -> None:
    """Values in the query are decoded once, and names may be spelled either way."""
    found = asked(query)
    assert found.invalid_controls == ()
    assert found.params == structs.replace(NO_CONTROLS, **wish)
    assert len(found.report.granted) == query.count("cho")


def test_aliases_of_peers_are_known() -> None:
    """Aliases of peers are known: a number alone is milliseconds in `time`, and seconds in our `delay`."""
    assert asked("echo_code=404").params.status == asked("echo_status=404").params.status
    assert asked("echo_time=250").params.delay == asked("echo_delay=0.25").params.delay


def test_a_field_asks_for_it_too_and_the_query_wins() -> None:
    """Headers are controls too; one overridden by the query is shown as rejected."""
    found = asked("echo_code=404", ("x-ECHO-Status", "500"), ("X-Echo-Pretty", "0"))
    assert found.params.pretty is False
    assert found.params.status is not None
    assert found.params.status.values == (404,)
    assert found.report == ControlsReport(
        (AppliedControl("pretty", "0", "header"), AppliedControl("status", "404", "query")),
        (RejectedControl("x-ECHO-Status", "500", "header", "overridden by the query"),),
    )


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ("echo_delay=1.1ms", {"max_delay": 0.0011}),
        ("echo_drip=100ms", {"max_delay": 0.1}),
        ("echo_time=4350-4350.0", {"max_delay": 4.35}),
        ("echo_size=1GiB", {"max_size": 1 << 30}),
        ("echo_size=999999999999999GiB", {"max_size": 999_999_999_999_999 << 30}),
    ],
)
def test_a_value_at_its_limit_is_applied(query: str, settings: dict[str, Any]) -> None:
    """The unit of a duration causes no rounding error, and a size is never a float."""
    found = asked(query, settings=structs.replace(SETTINGS, **settings))
    assert found.invalid_controls == ()
    assert found.params != NO_CONTROLS


MISTAKES = [
    ("echo_format=xml", "unknown value", "bare, html"),
    (
        "echo_format=httpbin",
        "unknown value",
        "bare, html, json, yaml, text, events, echo, gateway-api, whoami, echoserver",
    ),
    ("echo_pretty=2", "unknown value", "0 or 1"),
    ("echo_status=99", "out of range", "200 to 599"),
    ("echo_status=1000", "out of range", "200 to 599"),
    ("echo_code=", "not a whole number", "200 to 599"),
    ("echo_delay=61s", "too long", "60s"),
    ("echo_delay=1s-61s", "too long", "60s"),
    ("echo_time=60001", "too long", "60s"),
    ("echo_drip=2m", "too long", "60s"),
    ("echo_drip=1e400", "invalid duration", "a duration of at most 60s (ECHO_MAX_DELAY): 250ms, 1.5s"),
    ("echo_drip=nan", "invalid duration", "a duration of at most 60s"),
    ("echo_drip=-1", "invalid duration", "a duration of at most 60s"),
    ("echo_drip=%D9%A1s", "invalid duration", "a duration of at most 60s"),
    ("echo_delay=60000.1ms", "too long", "60s"),
    ("echo_delay=999999999999m", "too long", "60s"),
    ("echo_size=2GiB", "too large", "1073741824"),
    ("echo_size=1073741825", "too large", "1073741824"),
    ("echo_size=999999999999999GiB", "too large", "1073741824"),
    ("echo_size=1e3", "invalid size", "at most 1073741824 bytes (ECHO_MAX_SIZE): 1000, 10kB, 10MiB"),
    ("echo_size=%D9%A1", "invalid size", "at most 1073741824 bytes"),
    ("echo_abort=never", "unknown value", "before or middle"),
    ("echo_fail_first=0", "out of range", "1 to 1000"),
    ("echo_fail_first=1001", "out of range", "1 to 1000"),
    ("echo_count=0", "out of range", "1 to 600"),
    ("echo_count=601", "out of range", "1 to 600"),
    ("echo_seed=", "empty", "64"),
    ("echo_seed=" + "a" * 65, "too long", "64"),
    ("echo_compress=lzma", "unknown value", "gzip"),
    ("echo_header=X-A", "no colon", "name:value"),
    ("echo_header=:b", "invalid header name", "name:value"),
    ("echo_header=a b:c", "invalid header name", "name:value"),
    ("echo_header=x_a:c", "invalid header name", "name:value"),
    ("echo_header=X-A:b%0d%0aSet-Cookie:c", "control character", "name:value"),
    ("echo_header=X-A:%ff", "invalid UTF-8", "name:value"),
    ("echo_header=Content-Type:text/html", "can't be set by a client", "name:value"),
    ("echo_header=content-length:1", "can't be set by a client", "name:value"),
    ("echo_header=Transfer-Encoding:chunked", "is set by the server", "name:value"),
    ("echo_header=Access-Control-Allow-Origin:*", "can't be set by a client", "name:value"),
    ("echo_header=Location:http://b.test", "can't be set by a client", "name:value"),
    ("echo_header=Refresh:0", "can't be set by a client", "name:value"),
    ("echo_header=X-Request-Id:0", "can't be set by a client", "name:value"),
    ("echo_header=X-Accel-Redirect:/a", "can't be set by a client", "name:value"),
    ("echo_header=Timing-Allow-Origin:*", "can't be set by a client", "name:value"),
    ("echo_header=sec-" + "A" * 3000 + ":a", "...", "name:value"),
    ("echo_cookie=a", "invalid cookie", "name=value"),
    ("echo_cookie=a=b;%20Domain=b.test", "invalid cookie", "name=value"),
    ("echo_cookie=a=b%0ac", "invalid cookie", "name=value"),
    ("echo_redirect=http://b.test/", "not a relative URL", "a relative URL"),
    ("echo_redirect=//b.test/", "not a relative URL", "a relative URL"),
    ("echo_redirect=/\\b.test/", "not a relative URL", "a relative URL"),
    ("echo_redirect=\\\\b.test", "not a relative URL", "a relative URL"),
    ("echo_redirect=javascript:alert(1)", "not a relative URL", "a relative URL"),
    ("echo_redirect=%09//b.test", "not a relative URL", "a relative URL"),
    ("echo_redirect=", "not a relative URL", "a relative URL"),
    ("echo_status=200&echo_status=200", "given more than once", "200 to 599"),
    ("echo_status=200&echo_code=200", "given more than once", "200 to 599"),
    ("echo_delay=1&echo_time=1", "given more than once", "60s"),
    ("echo_body=a&echo_size=1", "can't be combined", ""),
    ("echo_drip=1s&echo_compress=gzip", "can't be combined", ""),
    ("echo_redirect=/a&echo_status=200", "300 to 399", ""),
    ("&".join(["echo_header=X-A:b"] * (MAX_CONTROLS + 1)), "too many", str(MAX_CONTROLS)),
]


@pytest.mark.parametrize(("query", "reason", "bound"), MISTAKES, ids=[query[:50] for query, *_ in MISTAKES])
def test_what_can_not_be_done_is_a_mistake_that_says_why(query: str, reason: str, bound: str) -> None:
    """An invalid control is rejected with its limit, and nothing else is applied."""
    found = asked(query)
    assert len(found.invalid_controls) == 1
    mistake = found.invalid_controls[0]
    assert mistake.name.startswith("echo_")
    assert reason in mistake.reason
    assert bound in mistake.bound
    assert found.params == NO_CONTROLS
    assert found.report == ControlsReport((), (mistake,))


def test_every_mistake_is_named_at_once_and_shortened() -> None:
    """All mistakes are reported together, shortened, so that all can be fixed at once.

    The requested response format still applies.
    """
    found = asked("echo_status=1&echo_delay=x&echo_size=" + "9" * 500 + "&echo_format=json&echo_pretty=0")
    assert [mistake.name for mistake in found.invalid_controls] == ["echo_status", "echo_delay", "echo_size"]
    assert max(len(mistake.value) for mistake in found.invalid_controls) == 80
    assert found.params == ControlParams(format="json", pretty=False)


def test_what_nobody_knows_is_shown_and_does_no_harm() -> None:
    """Unknown controls are shown and have no effect, because other software may use them.

    A likely typo gets a suggestion.
    """
    found = asked("echo_stauts=500&echo_=1&echo_" + "z" * 1000 + "=1", ("X-Echo-Set-Header", "a:b"))
    assert found.invalid_controls == ()
    assert [refused.reason for refused in found.report.refused] == [
        "unknown control; did you mean header?",
        "unknown control; did you mean status?",
        "unknown control",
        "unknown control",
    ]


@pytest.mark.parametrize("control", [control for control in CONTROLS if control.permission], ids=lambda each: each.name)
def test_each_control_can_be_turned_off_and_all_of_them(control: Any) -> None:
    """A disabled control is not applied; the response is sent all the same, and names the setting."""
    query = f"echo_{control.name}={control.example}"
    assert asked(query).params != NO_CONTROLS
    for setting in (control.permission, "controls"):
        found = asked(query, settings=structs.replace(SETTINGS, **{setting: "off"}))
        assert (found.params, found.invalid_controls) == (NO_CONTROLS, ())
        assert [each.reason for each in found.report.refused] == [f"disabled (ECHO_{setting.upper()})"]


def test_the_form_of_the_answer_can_always_be_asked_for() -> None:
    """The response format can always be requested, because it harms nobody."""
    off = structs.replace(SETTINGS, controls="off")
    assert asked("echo_format=json&echo_pretty=0", settings=off).params == ControlParams(format="json", pretty=False)


def test_cookies_are_off_unless_they_are_allowed() -> None:
    """Cookies are disabled by default, also through the header control."""
    assert "ECHO_ALLOW_COOKIE" in asked("echo_cookie=a=b", settings=Settings()).report.refused[0].reason
    assert "ECHO_ALLOW_COOKIE" in asked("echo_header=Set-Cookie:a=b", settings=Settings()).invalid_controls[0].reason


@pytest.mark.parametrize("target", ["https://b.test/c?d#e", "http://[::1]:80", "/a", "?b", "../c", "#d", ".", "/"])
def test_a_redirect_may_go_anywhere_where_that_is_allowed(target: str) -> None:
    """A redirect may go anywhere by http and https if the operator allows it."""
    anywhere = structs.replace(SETTINGS, allow_redirect="any")
    quoted = target.replace("#", "%23")
    assert asked("echo_redirect=" + quoted, settings=anywhere).params.redirect == target


@pytest.mark.parametrize("target", ["javascript:alert(1)", "ftp://b.test", "http:///c", "//b.test", "http://b.test\\c"])
def test_a_redirect_anywhere_is_still_one_to_http(target: str) -> None:
    """Even an unrestricted redirect goes to nothing that a browser would run or guess at."""
    found = asked("echo_redirect=" + target, settings=structs.replace(SETTINGS, allow_redirect="any"))
    assert "neither" in found.invalid_controls[0].reason


def test_no_tunnel_is_opened_by_a_status() -> None:
    """A 2xx status for CONNECT is rejected: it would open a tunnel (RFC 9110, 9.3.6)."""
    assert "tunnel" in asked("echo_status=200", method=b"CONNECT").invalid_controls[0].reason
    assert asked("echo_status=403", method=b"CONNECT").invalid_controls == ()


@pytest.mark.parametrize(
    "name",
    [
        *("No-Vary-Search", "no-vary-search", "WWW-Authenticate", "Secure-Session-Registration", "Onion-Location"),
        *("Service-Worker-Allowed", "Shared-Storage-Write", "Referrer-Policy", "X-LiteSpeed-Location", "Accept-CH"),
        *("X-Permitted-Cross-Domain-Policies", "Content-Security-Policy-Report-Only", "Document-Isolation-Policy"),
    ],
)
def test_no_field_that_makes_a_browser_or_proxy_do_anything_is_set(name: str) -> None:
    """Headers that act on a browser or proxy are rejected, recent ones like old ones, by query and by header."""
    for found in (asked(f"echo_header={name}:a"), asked("", ("X-Echo-Header", f"{name}: a"))):
        assert [each.reason for each in found.invalid_controls] == [f"{name} can't be set by a client"]


@pytest.mark.parametrize(
    "name",
    [
        *("Cache-Control", "EXPIRES", "vary", "Pragma", "CDN-Cache-Control", "Cloudflare-CDN-Cache-Control"),
        *("Surrogate-Control", "Surrogate-Key", "Edge-Control"),
    ],
)
def test_what_caches_obey_is_asked_for_by_the_query_alone(name: str) -> None:
    """Headers that control caches are only accepted in the query.

    Caches distinguish responses by the query; what a header requests, they would store for everybody.
    """
    assert asked(f"echo_header={name}:a").params.header == ((name, "a"),)
    assert "only echo_header in the query" in asked("", ("X-Echo-Header", f"{name}: a")).invalid_controls[0].reason


@pytest.mark.parametrize(
    "query", ["a=1&%65cho_status=500", "%45cho_status=500", "e%63%68o%5Fstatus=500", "echo%2dcode=500"]
)
def test_a_parameter_is_found_however_it_is_encoded(query: str) -> None:
    """A parameter is found however it is encoded, if it is a control once decoded."""
    assert (asked(query).params.status is None) is ("%45" in query)


def test_on_a_websocket_only_the_form_can_be_asked_for() -> None:
    """On a WebSocket only the format can be requested.

    A handshake has its own status, and messages their own timing.
    """
    found = asked("echo_status=500&echo_format=yaml", is_websocket=True)
    assert found.params == ControlParams(format="yaml")
    assert found.report.refused[0].reason == "not supported for WebSocket"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*(control.name for control in CONTROLS), "code", "x"]),
            st.one_of(st.binary(max_size=30), st.sampled_from([each.example.encode() for each in CONTROLS])),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_whatever_is_asked_for_is_granted_or_refused(wishes: list[tuple[str, bytes]], by_field: bool) -> None:  # noqa: FBT001
    """Each control is in `applied`, and no value makes parsing fail."""
    query = b"&".join(
        b"echo_" + name.encode() + b"=" + b"".join(b"%%%02x" % byte for byte in value) for name, value in wishes
    )
    fields: HeaderList = tuple((b"X-Echo-" + name.encode(), value) for name, value in wishes)
    target = b"/" if by_field else b"/?" + query
    found = parse_controls(HttpRequest(b"GET", target, "HTTP/1.1", fields if by_field else ()), SETTINGS)
    if found.invalid_controls:
        assert found.report.granted == ()
        assert set(found.invalid_controls) <= set(found.report.refused)
    else:
        assert len(found.report.granted) + len(found.report.refused) == len(wishes)
