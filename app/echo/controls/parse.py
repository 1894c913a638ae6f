"""Parser of the controls in a request: applied, ignored and invalid ones."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final, Literal, NamedTuple

from msgspec import structs

from app.config.settings import Settings
from app.echo.controls.definitions import BY_NAME, Control
from app.echo.controls.params import NONE, Wishes
from app.echo.controls.values import RefusedError
from app.http.controls_report import NOTHING, Applied, Granted, Refused
from app.http.headers import allowed
from app.http.request import PERCENT, WireRequest, query_pairs, shown, split_target
from app.http.text import shortened

PARAMETERS: Final = ("echo_", "echo-")  # prefixes of the query parameters that are controls
FIELD: Final = b"x-echo-"
MOST: Final = 64  # maximum number of controls in one request
# Classes of status codes (RFC 9110, 15).
_SUCCESS: Final = 2
_REDIRECTION: Final = 3
_SHOWN: Final = 80  # maximum characters of a name or value in the report

_QUESTION_MARK: Final = 0x3F  # as a byte value, like `PERCENT`

# The prefix of a control, with its characters percent-encoded or not.
_PARAMETER: Final = re.compile(
    rb"(?:^|&)"
    + b"".join(b"(?:%c|%%%02x|%%%02X)" % (byte, byte, byte) for byte in b"echo")
    + rb"(?:[_-]|%5[fF]|%2[dD])"
)

Source = Literal["query", "header"]


class Asked(NamedTuple):
    """The controls of a request. With `mistakes` the response is 400, and only its format controls are applied."""

    wishes: Wishes = NONE
    applied: Applied = NOTHING
    mistakes: tuple[Refused, ...] = ()

    def without(self, name: str, reason: str) -> "Asked":
        """Return a copy in which this control, if it was requested, is ignored and reported with the reason."""
        found = [each for each in self.applied.granted if each.name == name]
        if not found:
            return self
        refused = [Refused(_written(name, each.source), each.value, each.source, reason) for each in found]
        granted = tuple(each for each in self.applied.granted if each.name != name)
        wishes = structs.replace(self.wishes, **{name: getattr(NONE, name)})
        return Asked(wishes if wishes != NONE else NONE, Applied(granted, (*self.applied.refused, *refused)))

    def but(self, names: Sequence[str], reason: str) -> "Asked":
        """Return a copy in which these controls, if they were requested, are rejected as mistakes."""
        found = [each for each in self.applied.granted if each.name in names]
        mistakes = [Refused(_written(each.name, each.source), each.value, each.source, reason) for each in found]
        return _mistaken(self.wishes, self.applied.refused, mistakes) if mistakes else self


NOTHING_ASKED: Final = Asked()


class _Wish(NamedTuple):
    """One control as received, from a query parameter or a header."""

    name: str  # without echo_ or X-Echo-, in lower case, its words separated by _
    written: str
    value: bytes
    source: Source


def read(request: WireRequest, settings: Settings, *, websocket: bool = False) -> Asked:
    """Parse the controls in the query and the headers of a request.

    The query takes precedence over headers. Invalid controls are mistakes. Disabled and unknown controls are ignored:
    the response is sent all the same, and reports them.
    """
    wishes = _wishes(request)
    return _judged(request, wishes, settings, websocket=websocket) if wishes else NOTHING_ASKED


def _wishes(request: WireRequest) -> list[_Wish]:
    # Most requests have no controls: one search of the whole head, or of the target, is enough to detect that.
    found = []
    if not request.head or FIELD in request.head.lower():
        found = [
            _Wish(_plain(name[len(FIELD) :].decode("latin-1")), name.decode("latin-1"), value, "header")
            for name, value in request.fields
            if name[:7].lower() == FIELD
        ]
    target = request.target
    if (
        _QUESTION_MARK in target
        and (PERCENT in target or b"echo" in target)
        and _PARAMETER.search(query := split_target(target)[1])
    ):
        for raw, value in query_pairs(query):
            name = shown(raw)
            if name.startswith(PARAMETERS):
                found.append(_Wish(_plain(name[5:]), name, value, "query"))
    return found


def _written(name: str, source: Source) -> str:
    """Return the name of the query parameter or header that sets a control."""
    return f"echo_{name}" if source == "query" else f"X-Echo-{name.title().replace('_', '-')}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _judged(request: WireRequest, wishes: list[_Wish], settings: Settings, *, websocket: bool) -> Asked:
    given: dict[str, Any] = {}
    granted: list[Granted] = []
    refused: list[Refused] = []
    mistakes: list[Refused] = []
    by_query = {_field(wish) for wish in wishes if wish.source == "query"}
    for wish in wishes[:MOST]:
        control = BY_NAME.get(wish.name)
        if control is None or (reason := _why_not(control, wish, settings, by_query, websocket=websocket)):
            refused.append(_refused(wish, reason if control else _unknown(wish.name)))
            continue
        try:
            value = _value(control, wish, settings, again=control.field in given)
        except RefusedError as error:
            mistakes.append(_refused(wish, str(error), control.bound(settings)))
            continue
        given[control.field] = (*given.get(control.field, ()), value) if control.repeatable else value
        granted.append(Granted(control.name, shortened(shown(wish.value), _SHOWN), wish.source))
    if len(wishes) > MOST:
        mistakes.append(_refused(wishes[MOST], "too many", f"at most {MOST} in one request"))
    mistakes += _contradictions(given, wishes, connect=request.method == b"CONNECT")
    read = Wishes(**given)
    return _mistaken(read, refused, mistakes) if mistakes else Asked(read, Applied(tuple(granted), tuple(refused)))


def _value(control: Control, wish: _Wish, settings: Settings, *, again: bool) -> Any:
    """Parse the value of a control. Raise `RefusedError` if it is invalid or repeated."""
    if again and not control.repeatable:
        raise RefusedError("given more than once")
    value = control.read(wish.value, settings)
    if control.name == "header" and wish.source == "header" and allowed.is_for_caches(value[0]):
        raise RefusedError(allowed.NOT_BY_A_FIELD)
    return value


def _mistaken(wishes: Wishes, refused: Sequence[Refused], mistakes: Sequence[Refused]) -> Asked:
    form = Wishes(format=wishes.format, pretty=wishes.pretty)
    return Asked(form, Applied((), (*refused, *mistakes)), tuple(mistakes))


def _why_not(control: Control, wish: _Wish, settings: Settings, by_query: set[str], *, websocket: bool) -> str:
    """Return why a control is ignored, even if its value is valid; an empty string if it is not ignored."""
    if wish.source == "header" and control.field in by_query:
        return "overridden by the query"
    if not control.allowed(settings):
        return f"disabled (ECHO_{'CONTROLS' if settings.controls == 'off' else control.permission.upper()})"
    if websocket and control.permission:
        return "not supported for WebSocket"
    return ""


def _field(wish: _Wish) -> str:
    control = BY_NAME.get(wish.name)
    return control.field if control else ""


def _unknown(name: str) -> str:
    nearest = get_close_matches(name[:_SHOWN], BY_NAME, n=1)
    return "unknown control" + (f"; did you mean {nearest[0]}?" if nearest else "")


def _refused(wish: _Wish, reason: str, bound: str = "") -> Refused:
    return Refused(shortened(wish.written, _SHOWN), shortened(shown(wish.value), _SHOWN), wish.source, reason, bound)


def _contradictions(given: dict[str, Any], wishes: list[_Wish], *, connect: bool) -> Iterator[Refused]:
    """Yield controls that can't be combined, or that a response to CONNECT can't have."""

    def wrong(field: str, reason: str) -> Refused:
        return _refused(next(wish for wish in wishes if _field(wish) == field), reason)

    classes = {status // 100 for status in given["status"].values} if "status" in given else set()
    if "body" in given and "size" in given:
        yield wrong("size", "body and size can't be combined")
    if "compress" in given and "drip" in given:
        yield wrong("drip", "compress and drip can't be combined")
    if "redirect" in given and classes - {_REDIRECTION}:
        yield wrong("status", "a redirect needs a status from 300 to 399")
    if connect and _SUCCESS in classes:
        yield wrong("status", "a 2xx response to CONNECT would open a tunnel (RFC 9110, 9.3.6)")
