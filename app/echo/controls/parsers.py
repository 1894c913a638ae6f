"""Parsers of the controls, one for each kind of value.

Each parses the bytes of a value under the settings, or raises `RefusedError` with a short reason. The patterns and
limits that they use describe the controls in the OpenAPI document, too.
"""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from app.config.settings import Settings
from app.echo.controls import values
from app.echo.controls.values import RefusedError
from app.http.headers.allowed import why_not
from app.http.status import MAX_STATUS, MIN_STATUS

Read = Callable[[bytes, Settings], Any]

PRETTY_WORDS: Final = {
    "0": False, "1": True, "off": False, "on": True, "false": False, "true": True, "no": False, "yes": True,
}  # fmt: skip
MAX_FAILURES: Final = 1000
MAX_SEED: Final = 64  # bytes

# https://www.rfc-editor.org/rfc/rfc6265#section-4.1.1, without the optional quotes around a value
COOKIE: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+=[!#-+\--:<-\[\]-~]*")
# A redirect target on the same host: a path, query or fragment, without a scheme, and without a host after // or /\.
RELATIVE: Final = re.compile(r"(?:/(?![/\\])|\.{1,2}/|\?|#)[^\\]*|\.{1,2}|/")
_ABSOLUTE: Final = re.compile(r"https?://[^/?#\\\s][^\\\s]*")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()


def one_of(*words: str) -> Callable[[bytes, Settings], str]:
    """Return a parser that accepts these words, in any case."""

    def read(raw: bytes, settings: Settings) -> str:
        del settings
        text = _text(raw).lower()
        if text not in words:
            raise RefusedError("unknown value")
        return text

    return read


def pretty(raw: bytes, settings: Settings) -> bool:
    """Parse a switch."""
    return PRETTY_WORDS[one_of(*PRETTY_WORDS)(raw, settings)]


def status(raw: bytes, settings: Settings) -> values.Choices:
    """Parse a status code, or a weighted list of them."""
    del settings
    return values.choices(_text(raw), MIN_STATUS, MAX_STATUS)


def delay(unit: str) -> Callable[[bytes, Settings], values.Span]:
    """Return a parser of durations and ranges up to `max_delay`; a plain number is in the given unit."""

    def read(raw: bytes, settings: Settings) -> values.Span:
        span = values.span(_text(raw), unit)
        _check_time(span.most, settings)
        return span

    return read


def drip(raw: bytes, settings: Settings) -> float:
    """Parse a duration up to `max_delay`; return seconds."""
    seconds = values.duration(_text(raw))
    _check_time(seconds, settings)
    return seconds


def _check_time(seconds: float, settings: Settings) -> None:
    if seconds > settings.max_delay:
        raise RefusedError("too long")


def header(raw: bytes, settings: Settings) -> tuple[str, str]:
    """Parse `name:value`; return both."""
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


def cookie(raw: bytes, settings: Settings) -> tuple[str, str]:
    """Parse `name=value`; return the name and value of a response header."""
    del settings
    text = _text(raw)
    if not COOKIE.fullmatch(text):
        raise RefusedError("invalid cookie (RFC 6265, 4.1.1)")
    # Without Domain the cookie is for this host only; scripts can't read it, and other sites' requests don't send it.
    return "Set-Cookie", f"{text}; HttpOnly; SameSite=Strict"


def body(raw: bytes, settings: Settings) -> bytes:
    """Return the value unchanged."""
    del settings
    return raw


def size(raw: bytes, settings: Settings) -> int:
    """Parse a size up to `max_size`; return bytes."""
    length = values.size(_text(raw))
    if length > settings.max_size:
        raise RefusedError("too large")
    return length


def redirect(raw: bytes, settings: Settings) -> str:
    """Return a redirect target, percent-encoded where necessary."""
    text = raw.decode("utf-8", "replace")
    target = quote(text, safe="/?#[]@!$&'()*+,;=:%~.-_\\")
    if RELATIVE.fullmatch(target):
        return target
    if settings.allow_redirect != "any":
        raise RefusedError("not a relative URL (ECHO_ALLOW_REDIRECT)")
    if not _ABSOLUTE.fullmatch(target):
        raise RefusedError("neither a relative URL nor an http or https URL")
    return target


def fail_first(raw: bytes, settings: Settings) -> int:
    """Parse a number of attempts."""
    del settings
    return _number(raw, MAX_FAILURES)


def count(raw: bytes, settings: Settings) -> int:
    """Parse a number of events up to `max_events`."""
    return _number(raw, settings.max_events)


def _number(raw: bytes, maximum: int) -> int:
    number = values.whole(_text(raw))
    if not 1 <= number <= maximum:
        raise RefusedError("out of range")
    return number


def seed(raw: bytes, settings: Settings) -> str:
    """Return a seed of 1 to `MAX_SEED` bytes."""
    del settings
    if not 1 <= len(raw) <= MAX_SEED:
        raise RefusedError("too long" if raw else "empty")
    return raw.decode("latin-1")
