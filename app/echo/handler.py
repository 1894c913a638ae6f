"""The request handler: from a request to its response.

It decides what the response is; the format decides how it looks.
"""

import time
from collections.abc import Callable
from http import HTTPStatus
from random import Random
from typing import Final

from msgspec import structs

from app.config.formats import ECHO, EVENTS
from app.config.policy import Policy
from app.config.settings import Settings
from app.echo import errors
from app.echo.context import Context
from app.echo.controls import parse
from app.echo.controls.apply import Outcome, done
from app.echo.controls.attempts import Tries
from app.echo.controls.params import NONE
from app.echo.controls.parse import Asked
from app.echo.controls.resolve import NOTHING, choose, noted
from app.echo.formats import renderers, sse
from app.http.headers import origin, request_id
from app.http.headers.trailers import accepts_trailers, echoed_trailers
from app.http.record import About
from app.http.redaction import redacted
from app.http.request import ABOUT_KEY, WEBSOCKET_KEY, Environ, connection_of, request_of
from app.http.response import Answer

_SUCCESS: Final = 2  # the class of 2xx status codes (RFC 9110, 15)


class Echo:
    """The handler of echo requests: settings, policy, clock, random generator and attempt counter."""

    def __init__(self, settings: Settings, policy: Policy, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._policy = policy
        self._secret = origin.CREDENTIALS | policy.unlogged
        self._ids = request_id.Ids(policy.hidden)
        self._clock = clock
        self._random = Random(settings.seed or None)  # noqa: S311 - no secret is made of it
        self._tries = Tries()

    def answer(self, environ: Environ) -> Outcome:
        """Return the requested response, or an error response if a control is invalid or no type is acceptable.

        An `About` of the response is stored in the environ, for logs, metrics and traces.
        """
        websocket = WEBSOCKET_KEY in environ
        request = request_of(environ, self._settings.max_decoded)
        hidden = self._secret if websocket and origin.is_foreign(request) else self._policy.hidden
        if hidden:
            request = redacted(request, hidden)
        given_id = self._ids.given(environ)
        asked = parse.read(request, self._settings, websocket=websocket)
        message = websocket or request.method == b"CONNECT"
        form = self._form(environ.get("HTTP_ACCEPT", ""), asked, websocket=websocket, message=message)
        choice = NOTHING
        if asked.wishes is not NONE:
            asked = _sensible(asked, form, given_id)
            choice = choose(asked.wishes, self._random, self._tries, given_id, environ.get("HTTP_ACCEPT_ENCODING", ""))
        pretty = asked.wishes.pretty
        context = Context(
            request,
            connection_of(environ),
            self._policy,
            given_id or self._ids.new(),
            self._clock(),
            noted(asked.applied, choice),
            self._settings.pretty == "on" if pretty is None else pretty,
        )
        answer = self._answer(context, asked, form)
        if request.method == b"CONNECT" and not websocket and answer.status // 100 == _SUCCESS:
            # A 2xx response to CONNECT would open a tunnel (RFC 9110, 9.3.6), and clients would not read its body.
            answer = structs.replace(answer, status=HTTPStatus.NOT_IMPLEMENTED.value)
        if websocket and not isinstance(answer.body, bytes):
            answer = structs.replace(answer, body=b"")  # a WebSocket message can't be streamed
        outcome = done(answer, asked.wishes, choice, (request_id.NAME, context.id))
        environ[ABOUT_KEY] = About(_name(asked, form), context.id, context.now, context.applied)
        if request.trailers and accepts_trailers(request):
            effects = structs.replace(outcome.effects, trailers=echoed_trailers(request.trailers))
            outcome = structs.replace(outcome, effects=effects)
        return outcome

    def _form(self, accept: str, asked: Asked, *, websocket: bool, message: bool) -> str | None:
        """Return the name of the response format, None if no accepted type is available.

        If the response must be a single `message`, JSON replaces server-sent events.
        """
        wished, dialect = asked.wishes.format, self._settings.dialect
        if wished and wished != ECHO:
            form: str | None = wished
        elif dialect != ECHO and not wished:
            form = dialect
        elif websocket:
            # The first message is the reflection, in JSON by default: WebSocket clients rarely send Accept.
            form = renderers.negotiated(accept, "json") or "json"
        else:
            form = renderers.negotiated(accept, self._settings.format)
        return "json" if form == EVENTS and message else form

    def _answer(self, context: Context, asked: Asked, form: str | None) -> Answer:
        if asked.mistakes:
            return errors.mistaken(context, asked.mistakes, form)
        if form is None:
            return errors.NOT_ACCEPTABLE
        if form == EVENTS:
            count = asked.wishes.count or min(sse.DEFAULT_COUNT, self._settings.max_events)
            return sse.events(context, self._clock, count)
        return renderers.WRITE[form](context)


def _name(asked: Asked, form: str | None) -> str:
    """Return a name for the response: its format, the control that replaces the reflection, or `mistake`."""
    if asked.mistakes or form is None:
        return "mistake"
    if asked.wishes is NONE:
        return form
    return "body" if asked.wishes.body is not None else "size" if asked.wishes.size is not None else form


def _sensible(asked: Asked, form: str | None, given_id: str) -> Asked:
    """Reject controls that this format or a request without an ID does not support; ignore those without effect."""
    wishes = asked.wishes
    if asked.mistakes:
        return asked
    if wishes.fail_first and not given_id:
        return asked.but(("fail_first",), "requires a valid X-Request-Id header, by which attempts are counted")
    is_events = form == EVENTS and wishes.body is None and wishes.size is None
    if is_events:
        asked = asked.but(("drip", "compress"), "not supported for server-sent events")
    elif wishes.count:
        asked = asked.without("count", "no effect: the response is not server-sent events")
    if wishes.seed and wishes.status is None and wishes.delay is None:
        asked = asked.without("seed", "no effect: nothing is chosen at random")
    return asked
