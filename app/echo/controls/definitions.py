"""Definitions of the controls: one row each with effect, limit and parser.

The README's table, the OpenAPI document and the responses to invalid controls are generated from these rows.
"""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from app.config.settings import Settings
from app.echo.controls import values
from app.echo.controls.values import RefusedError
from app.http.compress import AUTO, COMPRESSIONS
from app.http.headers.allowed import why_not

STATUS_LEAST: Final = 200
STATUS_MOST: Final = 599
_MOST_FAILURES: Final = 1000
_LONGEST_SEED: Final = 64  # bytes

# https://www.rfc-editor.org/rfc/rfc6265#section-4.1.1, without the optional quotes around a value
_COOKIE: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+=[!#-+\--:<-\[\]-~]*")
# A redirect target on the same host: a path, query or fragment, without a scheme, and without a host after // or /\.
_RELATIVE: Final = re.compile(r"(?:/(?![/\\])|\.{1,2}/|\?|#)[^\\]*|\.{1,2}|/")
_ABSOLUTE: Final = re.compile(r"https?://[^/?#\\\s][^\\\s]*")

Read = Callable[[bytes, Settings], Any]


class Control(NamedTuple):
    """One control: `read` parses its value or raises `RefusedError`; `bound` describes the accepted values.

    `permission` names the setting that can disable it; `wish` is the attribute of `Wishes` that holds its value, if
    that differs from its name.
    """

    name: str
    meaning: str
    example: str
    bound: Callable[[Settings], str]
    read: Read
    aliases: tuple[str, ...] = ()
    repeatable: bool = False
    permission: str = ""
    wish: str = ""

    @property
    def field(self) -> str:
        """The attribute of `Wishes` that holds its value."""
        return self.wish or self.name

    def allowed(self, settings: Settings) -> bool:
        """Return whether the settings allow this control."""
        return not self.permission or settings.allows(self.permission.removeprefix("allow_"))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()


def _one_of(*known: str) -> Read:
    def read(raw: bytes, settings: Settings) -> str:
        del settings
        text = _text(raw).lower()
        if text not in known:
            raise RefusedError("unknown value")
        return text

    return read


def _pretty(raw: bytes, settings: Settings) -> bool:
    text = _one_of("0", "1", "off", "on", "false", "true", "no", "yes")(raw, settings)
    return text in {"1", "on", "true", "yes"}


def _status(raw: bytes, settings: Settings) -> values.Choices:
    del settings
    return values.choices(_text(raw), STATUS_LEAST, STATUS_MOST)


def _delay(unit: str) -> Callable[[bytes, Settings], values.Span]:
    def read(raw: bytes, settings: Settings) -> values.Span:
        span = values.span(_text(raw), unit)
        _check_time(span.most, settings)
        return span

    return read


def _drip(raw: bytes, settings: Settings) -> float:
    seconds = values.duration(_text(raw))
    _check_time(seconds, settings)
    return seconds


def _check_time(seconds: float, settings: Settings) -> None:
    if seconds > settings.max_delay:
        raise RefusedError("too long")


def _header(raw: bytes, settings: Settings) -> tuple[str, str]:
    try:
        name, colon, value = raw.decode().partition(":")
    except UnicodeDecodeError:
        raise RefusedError("invalid UTF-8") from None
    if not colon:
        raise RefusedError("no colon")
    name, value = name.strip(" \t"), value.strip(" \t")
    reason = why_not(name, value, cookies=settings.allow_cookie == "on")
    if reason:
        raise RefusedError(reason)
    return name, value


def _cookie(raw: bytes, settings: Settings) -> tuple[str, str]:
    del settings
    text = _text(raw)
    if not _COOKIE.fullmatch(text):
        raise RefusedError("invalid cookie (RFC 6265, 4.1.1)")
    # Without Domain the cookie is for this host only; scripts can't read it, and other sites' requests don't send it.
    return "Set-Cookie", f"{text}; HttpOnly; SameSite=Strict"


def _body(raw: bytes, settings: Settings) -> bytes:
    del settings
    return raw


def _size(raw: bytes, settings: Settings) -> int:
    length = values.size(_text(raw))
    if length > settings.max_size:
        raise RefusedError("too large")
    return length


def _redirect(raw: bytes, settings: Settings) -> str:
    text = raw.decode("utf-8", "replace")
    target = quote(text, safe="/?#[]@!$&'()*+,;=:%~.-_\\")
    if _RELATIVE.fullmatch(target):
        return target
    if settings.allow_redirect != "any":
        raise RefusedError("not a relative URL (ECHO_ALLOW_REDIRECT)")
    if not _ABSOLUTE.fullmatch(target):
        raise RefusedError("neither a relative URL nor an http or https URL")
    return target


def _fail_first(raw: bytes, settings: Settings) -> int:
    del settings
    return _number(raw, _MOST_FAILURES)


def _count(raw: bytes, settings: Settings) -> int:
    return _number(raw, settings.max_events)


def _number(raw: bytes, most: int) -> int:
    count = values.whole(_text(raw))
    if not 1 <= count <= most:
        raise RefusedError("out of range")
    return count


def _seed(raw: bytes, settings: Settings) -> str:
    del settings
    if not 1 <= len(raw) <= _LONGEST_SEED:
        raise RefusedError("too long" if raw else "empty")
    return raw.decode("latin-1")


def _said(text: str) -> Callable[[Settings], str]:
    return lambda _: text


def _redirects(settings: Settings) -> str:
    if settings.allow_redirect == "any":
        return "a relative URL, or an http or https URL"
    return "a relative URL: /path, ./path, ../path, ?query"


FORMAT_NAMES: Final = (
    "bare", "html", "json", "yaml", "text", "events", "echo", "gateway-api", "whoami", "echoserver",
)  # fmt: skip

_FORMATS: Final = ", ".join(FORMAT_NAMES)

CONTROLS: Final = (
    Control(
        "format",
        "response format or dialect; takes precedence over Accept",
        "json",
        _said(_FORMATS),
        _one_of(*FORMAT_NAMES),
    ),
    Control("pretty", "JSON indentation", "0", _said("0 or 1"), _pretty),
    Control(
        "status",
        "response status, or a weighted random choice",
        "500:10,200:90",
        _said(
            f"{STATUS_LEAST} to {STATUS_MOST}, or a weighted list of up to {values.MOST_CHOICES} such as 500:10,200:90"
        ),
        _status,
        aliases=("code",),
        permission="allow_status",
    ),
    Control(
        "delay",
        "delay before the first byte, random within a range",
        "100ms-2s",
        lambda settings: (
            f"a duration of at most {settings.max_delay:g}s (ECHO_MAX_DELAY), or a range: 250ms, 1.5s, 100ms-2s"
        ),
        _delay("s"),
        permission="allow_delay",
    ),
    # Other echo servers that use this name interpret a plain number as milliseconds.
    Control(
        "time",
        "as delay, but a plain number is milliseconds",
        "250",
        lambda settings: (
            f"a duration of at most {settings.max_delay:g}s (ECHO_MAX_DELAY), or a range: 250, 1.5s, 100ms-2s"
        ),
        _delay("ms"),
        permission="allow_delay",
        wish="delay",
    ),
    Control(
        "header",
        "additional response header",
        "X-A:b",
        _said("name:value, except headers that frame the message or that browsers act on"),
        _header,
        repeatable=True,
        permission="allow_header",
    ),
    Control(
        "cookie",
        "response cookie, HttpOnly and SameSite=Strict",
        "a=b",
        _said("name=value"),
        _cookie,
        repeatable=True,
        permission="allow_cookie",
    ),
    Control(
        "body",
        "response body, as text/plain, instead of the reflection",
        "hello",
        _said("any text"),
        _body,
        permission="allow_body",
    ),
    Control(
        "size",
        "response body of this size, generated while it is sent",
        "10MiB",
        lambda settings: f"at most {settings.max_size} bytes (ECHO_MAX_SIZE): 1000, 10kB, 10MiB",
        _size,
        permission="allow_size",
    ),
    Control(
        "drip",
        "response body spread over this duration",
        "2s",
        lambda settings: f"a duration of at most {settings.max_delay:g}s (ECHO_MAX_DELAY)",
        _drip,
        permission="allow_drip",
    ),
    Control(
        "redirect",
        "Location header and status 302, or another 3xx set by status",
        "/there",
        _redirects,
        _redirect,
        permission="allow_redirect",
    ),
    Control(
        "abort",
        "connection closed before the response head, or in the middle of the body",
        "before",
        _said("before or middle"),
        _one_of("before", "middle"),
        permission="allow_abort",
    ),
    Control(
        "fail_first",
        "503 for the first attempts with one X-Request-Id, then success",
        "2",
        _said(f"1 to {_MOST_FAILURES}, with an X-Request-Id header"),
        _fail_first,
        permission="allow_fail_first",
    ),
    Control(
        "compress",
        "content coding of the response; auto selects by Accept-Encoding",
        "gzip",
        _said(", ".join((*COMPRESSIONS, AUTO))),
        _one_of(*COMPRESSIONS, AUTO),
        permission="allow_compress",
    ),
    Control(
        "count",
        "number of server-sent events, one per second",
        "5",
        lambda settings: f"1 to {settings.max_events} (ECHO_MAX_EVENTS)",
        _count,
    ),
    Control(
        "seed",
        "seed of random choices: same seed, same choices",
        "1",
        _said(f"1 to {_LONGEST_SEED} bytes"),
        _seed,
    ),
)

BY_NAME: Final = {name: control for control in CONTROLS for name in (control.name, *control.aliases)}
