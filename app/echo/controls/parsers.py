"""Parsers of the controls, one for each kind of value.

Each parses the bytes of a value under the settings, or raises `InvalidValueError` with a short reason. The patterns and
limits that they use describe the controls in the OpenAPI document, too.
"""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from app.config.settings import Settings
from app.echo.controls import values
from app.echo.controls.values import InvalidValueError
from app.http.headers.allowed import rejection_reason
from app.http.status import MAX_STATUS, MIN_STATUS
from app.http.tokens import TCHAR

ValueParser = Callable[[bytes, Settings], Any]

PRETTY_WORDS: Final = {
    "0": False, "1": True, "off": False, "on": True, "false": False, "true": True, "no": False, "yes": True,
}  # fmt: skip
MAX_FAILURES: Final = 1000
MAX_SEED: Final = 64  # bytes

# https://www.rfc-editor.org/rfc/rfc6265#section-4.1.1, without the optional quotes around a value
COOKIE: Final = re.compile(TCHAR + r"+=[!#-+\--:<-\[\]-~]*")
# A redirect target on the same host: a path, query or fragment, without a scheme, and without a host after // or /\.
RELATIVE: Final = re.compile(r"(?:/(?![/\\])|\.{1,2}/|\?|#)[^\\]*|\.{1,2}|/")
_ABSOLUTE: Final = re.compile(r"https?://[^/?#\\\s][^\\\s]*")


def _decode_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()


def word_parser(*words: str) -> Callable[[bytes, Settings], str]:
    """Return a parser that accepts these words, in any case."""

    def parse(raw: bytes, settings: Settings) -> str:
        del settings
        text = _decode_text(raw).lower()
        if text not in words:
            raise InvalidValueError("unknown value")
        return text

    return parse


def parse_pretty(raw: bytes, settings: Settings) -> bool:
    """Parse a switch."""
    return PRETTY_WORDS[word_parser(*PRETTY_WORDS)(raw, settings)]


def parse_status(raw: bytes, settings: Settings) -> values.WeightedChoice:
    """Parse a status code, or a weighted list of them."""
    del settings
    return values.parse_weighted_choice(_decode_text(raw), MIN_STATUS, MAX_STATUS)


def delay_parser(unit: str) -> Callable[[bytes, Settings], values.DurationRange]:
    """Return a parser of durations and ranges up to `max_delay`; a plain number is in the given unit."""

    def parse(raw: bytes, settings: Settings) -> values.DurationRange:
        duration_range = values.parse_duration_range(_decode_text(raw), unit)
        _check_delay(duration_range.maximum, settings)
        return duration_range

    return parse


def parse_drip(raw: bytes, settings: Settings) -> float:
    """Parse a duration up to `max_delay`; return seconds."""
    seconds = values.parse_control_duration(_decode_text(raw))
    _check_delay(seconds, settings)
    return seconds


def _check_delay(seconds: float, settings: Settings) -> None:
    if seconds > settings.max_delay:
        raise InvalidValueError("too long")


def parse_header(raw: bytes, settings: Settings) -> tuple[str, str]:
    """Parse `name:value`; return both."""
    try:
        name, colon, value = raw.decode().partition(":")
    except UnicodeDecodeError:
        raise InvalidValueError("invalid UTF-8") from None
    if not colon:
        raise InvalidValueError("no colon")
    name, value = name.strip(" \t"), value.strip(" \t")
    reason = rejection_reason(name, value, allow_cookies=settings.allow_cookie == "on")
    if reason:
        raise InvalidValueError(reason)
    return name, value


def parse_cookie(raw: bytes, settings: Settings) -> tuple[str, str]:
    """Parse `name=value`; return the name and value of a response header."""
    del settings
    text = _decode_text(raw)
    if not COOKIE.fullmatch(text):
        raise InvalidValueError("invalid cookie (RFC 6265, 4.1.1)")
    # Without Domain the cookie is for this host only; scripts can't read it, and other sites' requests don't send it.
    return "Set-Cookie", f"{text}; HttpOnly; SameSite=Strict"


def parse_body(raw: bytes, settings: Settings) -> bytes:
    """Return the value unchanged."""
    del settings
    return raw


def parse_size(raw: bytes, settings: Settings) -> int:
    """Parse a size up to `max_size`; return bytes."""
    length = values.parse_control_size(_decode_text(raw))
    if length > settings.max_size:
        raise InvalidValueError("too large")
    return length


def parse_redirect(raw: bytes, settings: Settings) -> str:
    """Return a redirect target, percent-encoded where necessary."""
    text = raw.decode("utf-8", "replace")
    target = quote(text, safe="/?#[]@!$&'()*+,;=:%~.-_\\")
    if RELATIVE.fullmatch(target):
        return target
    if settings.allow_redirect != "any":
        raise InvalidValueError("not a relative URL (ECHO_ALLOW_REDIRECT)")
    if not _ABSOLUTE.fullmatch(target):
        raise InvalidValueError("neither a relative URL nor an http or https URL")
    return target


def parse_fail_first(raw: bytes, settings: Settings) -> int:
    """Parse a number of attempts."""
    del settings
    return _parse_number(raw, MAX_FAILURES)


def parse_count(raw: bytes, settings: Settings) -> int:
    """Parse a number of events up to `max_events`."""
    return _parse_number(raw, settings.max_events)


def _parse_number(raw: bytes, maximum: int) -> int:
    number = values.parse_integer(_decode_text(raw))
    if not 1 <= number <= maximum:
        raise InvalidValueError("out of range")
    return number


def parse_seed(raw: bytes, settings: Settings) -> str:
    """Return a seed of 1 to `MAX_SEED` bytes."""
    del settings
    if not 1 <= len(raw) <= MAX_SEED:
        raise InvalidValueError("too long" if raw else "empty")
    return raw.decode("latin-1")
