"""Definitions of the controls: effect, limit, parser and schema of each.

The README's table, the OpenAPI document and the responses to invalid controls are generated from these rows.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar

from app.config import formats
from app.config.settings import Settings
from app.echo.controls import parsers, values
from app.echo.controls.parsers import MAX_FAILURES, MAX_SEED, PRETTY_WORDS, ValueParser
from app.http.compress import AUTO, COMPRESSORS
from app.http.headers import allowed
from app.http.quantities import DURATION, SIZE, format_duration
from app.http.status import MAX_STATUS, MIN_STATUS, STATUS_PATTERN

FORMAT_NAMES: Final = formats.NAMES
_CODINGS: Final = (*COMPRESSORS, AUTO)
_ABORTS: Final = ("before", "middle")

Schema = dict[str, Any]
_T = TypeVar("_T")


class Control(NamedTuple):
    """One control.

    `parse_value` parses its value or raises an error; `describe_limit` describes the accepted values.
    `schema` is a JSON Schema of the value. Limits that it can't express, such as that of a duration, are in
    `describe_limit`. `permission` names the setting that can disable it; `param_override` is the attribute of
    `ControlParams` that holds its value, if that differs from its name.
    """

    name: str
    description: str
    example: str
    describe_limit: Callable[[Settings], str]
    parse_value: ValueParser
    schema: Callable[[Settings], Schema]
    aliases: tuple[str, ...] = ()
    repeatable: bool = False
    permission: str = ""
    param_override: str = ""

    @property
    def param_name(self) -> str:
        """The attribute of `Wishes` that holds its value."""
        return self.param_override or self.name

    def is_allowed(self, settings: Settings) -> bool:
        """Return whether the settings allow this control."""
        return not self.permission or settings.allows(self.permission.removeprefix("allow_"))


def _constant(value: _T) -> Callable[[Settings], _T]:
    return lambda _: value


def _words(words: Iterable[str]) -> Callable[[Settings], Schema]:
    return _constant({"enum": list(words)})


def _pattern(pattern: str) -> Callable[[Settings], Schema]:
    return _constant({"type": "string", "pattern": f"^(?:{pattern})$"})


def _durations(settings: Settings, plain_number: str = "") -> str:
    limit = format_duration(settings.max_delay)
    return f"a duration of at most {limit} (ECHO_MAX_DELAY): {plain_number}{DURATION.examples}"


def _describe_redirects(settings: Settings) -> str:
    if settings.allow_redirect == "any":
        return "a relative URL, or an http or https URL"
    return "a relative URL: /path, ./path, ../path, ?query"


def _redirect_schema(settings: Settings) -> Schema:
    return {"type": "string"} if settings.allow_redirect == "any" else _pattern(parsers.RELATIVE.pattern)(settings)


CONTROLS: Final = (
    Control(
        "format",
        "response format or dialect; takes precedence over Accept",
        "json",
        _constant(", ".join(FORMAT_NAMES)),
        parsers.word_parser(*FORMAT_NAMES),
        _words(FORMAT_NAMES),
    ),
    Control("pretty", "JSON indentation", "0", _constant("0 or 1"), parsers.parse_pretty, _words(PRETTY_WORDS)),
    Control(
        "status",
        "response status, or a weighted random choice",
        "500:10,200:90",
        _constant(
            f"{MIN_STATUS} to {MAX_STATUS}, or a weighted list of up to {values.MAX_CHOICES} such as 500:10,200:90"
        ),
        parsers.parse_status,
        _pattern(values.weighted_choice_pattern(STATUS_PATTERN)),
        aliases=("code",),
        permission="allow_status",
    ),
    Control(
        "delay",
        "delay before the first byte, random within a range",
        "100ms-2s",
        lambda settings: f"{_durations(settings)}, or a range: 100ms-2s",
        parsers.delay_parser("s"),
        _pattern(values.RANGE_PATTERN),
        permission="allow_delay",
    ),
    # Other echo servers that use this name interpret a plain number as milliseconds.
    Control(
        "time",
        "as delay, but a plain number is milliseconds",
        "250",
        lambda settings: f"{_durations(settings, '250, ')}, or a range: 100ms-2s",
        parsers.delay_parser("ms"),
        _pattern(values.RANGE_PATTERN),
        permission="allow_delay",
        param_override="delay",
    ),
    Control(
        "header",
        "additional response header",
        "X-A:b",
        _constant("name:value, except headers that frame the message or that browsers act on"),
        parsers.parse_header,
        _pattern(f"{allowed.NAME.pattern}:{allowed.VALUE.pattern}"),
        repeatable=True,
        permission="allow_header",
    ),
    Control(
        "cookie",
        "response cookie, HttpOnly and SameSite=Strict",
        "a=b",
        _constant("name=value"),
        parsers.parse_cookie,
        _pattern(parsers.COOKIE.pattern),
        repeatable=True,
        permission="allow_cookie",
    ),
    Control(
        "body",
        "response body, as text/plain, instead of the reflection",
        "hello",
        _constant("any text"),
        parsers.parse_body,
        _constant({"type": "string"}),
        permission="allow_body",
    ),
    Control(
        "size",
        "response body of this size, generated while it is sent",
        "10MiB",
        lambda settings: f"at most {settings.max_size} bytes (ECHO_MAX_SIZE): 1000, {SIZE.examples}",
        parsers.parse_size,
        _pattern(SIZE.pattern),
        permission="allow_size",
    ),
    Control(
        "drip",
        "response body spread over this duration",
        "2s",
        _durations,
        parsers.parse_drip,
        _pattern(DURATION.pattern),
        permission="allow_drip",
    ),
    Control(
        "redirect",
        "Location header and status 302, or another 3xx set by status",
        "/there",
        _describe_redirects,
        parsers.parse_redirect,
        _redirect_schema,
        permission="allow_redirect",
    ),
    Control(
        "abort",
        "connection closed before the response head, or in the middle of the body",
        "before",
        _constant(" or ".join(_ABORTS)),
        parsers.word_parser(*_ABORTS),
        _words(_ABORTS),
        permission="allow_abort",
    ),
    Control(
        "fail_first",
        "503 for the first attempts with one X-Request-Id, then success",
        "2",
        _constant(f"1 to {MAX_FAILURES}, with an X-Request-Id header"),
        parsers.parse_fail_first,
        _constant({"type": "integer", "minimum": 1, "maximum": MAX_FAILURES}),
        permission="allow_fail_first",
    ),
    Control(
        "compress",
        "content coding of the response; auto selects by Accept-Encoding",
        "gzip",
        _constant(", ".join(_CODINGS)),
        parsers.word_parser(*_CODINGS),
        _words(_CODINGS),
        permission="allow_compress",
    ),
    Control(
        "count",
        "number of server-sent events, one per second",
        "5",
        lambda settings: f"1 to {settings.max_events} (ECHO_MAX_EVENTS)",
        parsers.parse_count,
        lambda settings: {"type": "integer", "minimum": 1, "maximum": settings.max_events},
    ),
    Control(
        "seed",
        "seed of random choices: same seed, same choices",
        "1",
        _constant(f"1 to {MAX_SEED} bytes"),
        parsers.parse_seed,
        _constant({"type": "string", "minLength": 1, "maxLength": MAX_SEED}),
    ),
)

CONTROLS_BY_NAME: Final = {name: control for control in CONTROLS for name in (control.name, *control.aliases)}
