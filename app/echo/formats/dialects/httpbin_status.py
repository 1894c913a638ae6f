"""The statuses of go-httpbin's /status: which one is meant, and what goes with it."""

from random import Random
from typing import Final

from app.echo.formats.dialects.go_values import GoError, integer, number, quoted
from app.echo.formats.dialects.limits import WishError
from app.http.response import TEXT, Answer

# Final statuses that HTTP has (RFC 9110, 15).
_LEAST, _MOST = 200, 599

_AGAIN: Final = (("Location", "/redirect/1"),)
_TEAPOT: Final = "http://tools.ietf.org/html/rfc2324"
_FIELDS: Final[dict[int, tuple[tuple[str, str], ...]]] = {
    **dict.fromkeys((301, 302, 303, 305, 307), _AGAIN),
    # Where go-httpbin leads to a picture.
    **dict.fromkeys((300, 308), _AGAIN),
    401: (("WWW-Authenticate", 'Basic realm="Fake Realm"'),),
    407: (("Proxy-Authenticate", 'Basic realm="Fake Realm"'),),
    418: (("X-More-Info", _TEAPOT),),
}
_BODIES: Final = {418: b"I'm a teapot!"}


def choose(asked: str, random: Random) -> int:
    """Give the status that a path asks for: `503`, or one of `200:2,503,404:0.5`, as often as its weight says.

    Raises `WishError`, in go-httpbin's words.
    """
    if "," not in asked:
        try:
            return _in_bounds(integer(asked))
        except GoError as error:
            raise WishError(f"invalid status code: {quoted(asked)}: {error}") from None
    statuses, weights = [], []
    for pair in asked.split(","):
        status, colon, weight = pair.partition(":")
        weights.append(_weight(weight) if colon else 1.0)
        try:
            statuses.append(_in_bounds(integer(status)))
        except GoError:
            raise WishError(f"invalid choice value: {quoted(status)}") from None
    if not any(weights):
        raise WishError("no choice has a weight above 0")
    return random.choices(statuses, weights)[0]


def _in_bounds(status: int) -> int:
    if not _LEAST <= status <= _MOST:
        raise WishError(f"invalid status code: {status} not in range [{_LEAST}, {_MOST}]")
    return status


def _weight(text: str) -> float:
    try:
        weight = number(text)
    except GoError:
        weight = -1.0
    if weight < 0:
        raise WishError(f"invalid weight value: {quoted(text)}")
    return weight


def special(status: int) -> Answer:
    """Give the answer that has this status, with the fields and the text that go with some."""
    return Answer(_BODIES.get(status, b""), TEXT, status, _FIELDS.get(status, ()))
