"""The request handler: from a request to its response.

It decides what the response is; the format decides how it looks.
"""

import time
from collections.abc import Callable
from http import HTTPStatus
from random import Random

from msgspec import structs

from app.config.formats import ECHO, EVENTS
from app.config.policy import Policy
from app.config.settings import Settings
from app.echo import errors
from app.echo.context import Context
from app.echo.controls import parse
from app.echo.controls.apply import ControlledResponse, apply_controls
from app.echo.controls.attempts import AttemptCounter
from app.echo.controls.parse import ParsedControls
from app.echo.controls.resolve import UNRESOLVED, annotate_report, resolve_controls
from app.echo.formats import renderers, sse
from app.http.headers import origin, request_id
from app.http.headers.trailers import accepts_trailers, filter_trailers
from app.http.record import ResponseInfo
from app.http.redaction import redact
from app.http.request import (
    RESPONSE_INFO_KEY,
    WEBSOCKET_KEY,
    Environ,
    HttpRequest,
    connection_from_environ,
    request_from_environ,
)
from app.http.response import RenderedResponse
from app.http.status import SUCCESS_CLASS


class EchoHandler:
    """The handler of echo requests: settings, policy, clock, random generator and attempt counter."""

    def __init__(self, settings: Settings, policy: Policy, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._policy = policy
        self._cross_origin_redacted = origin.CREDENTIAL_HEADERS | policy.redacted_in_logs
        self._request_ids = request_id.RequestIds(policy.redacted_in_responses)
        self._clock = clock
        self._random = Random(settings.seed or None)  # noqa: S311 - no secret is made of it
        self._attempts = AttemptCounter()

    def handle(self, environ: Environ) -> ControlledResponse:
        """Return the requested response, or an error response if a control is invalid or no type is acceptable.

        A `ResponseInfo` of the response is stored in the environ, for logs, metrics and traces.
        """
        is_websocket = WEBSOCKET_KEY in environ
        request = self._redacted_request(environ, is_websocket=is_websocket)
        client_request_id = self._request_ids.from_environ(environ)
        controls = parse.parse_controls(request, self._settings, is_websocket=is_websocket)
        is_message = is_websocket or request.method == b"CONNECT"
        format_name = self._choose_format(
            environ.get("HTTP_ACCEPT", ""), controls, is_websocket=is_websocket, is_message=is_message
        )
        resolved_controls = UNRESOLVED
        if controls.report.granted:
            controls = _check_compatibility(controls, format_name, client_request_id)
            resolved_controls = resolve_controls(
                controls.params,
                self._random,
                self._attempts,
                client_request_id,
                environ.get("HTTP_ACCEPT_ENCODING", ""),
            )
        pretty = controls.params.pretty
        context = Context(
            request,
            connection_from_environ(environ),
            self._policy,
            client_request_id or self._request_ids.generate(),
            self._clock(),
            annotate_report(controls.report, resolved_controls),
            self._settings.pretty == "on" if pretty is None else pretty,
        )
        rendered_response = self._render(context, controls, format_name)
        if is_message:
            rendered_response = _fit_message(rendered_response, is_websocket=is_websocket)
        response = apply_controls(
            rendered_response, controls.params, resolved_controls, (request_id.HEADER, context.id)
        )
        environ[RESPONSE_INFO_KEY] = ResponseInfo(
            _response_kind(controls, format_name), context.id, context.now, context.controls_report
        )
        return _with_trailers(response, request) if request.trailers else response

    def _redacted_request(self, environ: Environ, *, is_websocket: bool) -> HttpRequest:
        """Return the request as it may be shown. A WebSocket from another origin gets no credentials of the user."""
        request = request_from_environ(environ, self._settings.max_decoded)
        redacted_names = (
            self._cross_origin_redacted
            if is_websocket and origin.is_cross_origin(request)
            else self._policy.redacted_in_responses
        )
        return redact(request, redacted_names) if redacted_names else request

    def _choose_format(
        self, accept: str, controls: ParsedControls, *, is_websocket: bool, is_message: bool
    ) -> str | None:
        """Return the name of the response format, None if no accepted type is available.

        If the response must be a single `is_message`, JSON replaces server-sent events.
        """
        requested_format, dialect = controls.params.format, self._settings.dialect
        if requested_format and requested_format != ECHO:
            format_name: str | None = requested_format
        elif dialect != ECHO and not requested_format:
            format_name = dialect
        elif is_websocket:
            # The first message is the reflection, in JSON by default: WebSocket clients rarely send Accept.
            format_name = renderers.negotiate_format(accept, "json") or "json"
        else:
            format_name = renderers.negotiate_format(accept, self._settings.format)
        return "json" if format_name == EVENTS and is_message else format_name

    def _render(self, context: Context, controls: ParsedControls, format_name: str | None) -> RenderedResponse:
        if controls.invalid_controls:
            return errors.invalid_controls_response(context, controls.invalid_controls, format_name)
        if format_name is None:
            return errors.NOT_ACCEPTABLE
        if format_name == EVENTS:
            count = controls.params.count or min(sse.DEFAULT_COUNT, self._settings.max_events)
            return sse.render_events(context, self._clock, count)
        return renderers.RENDERERS[format_name](context)


def _fit_message(rendered: RenderedResponse, *, is_websocket: bool) -> RenderedResponse:
    """Return the response as a WebSocket message, or as the response to CONNECT."""
    if is_websocket:
        # A WebSocket message can't be streamed.
        return rendered if isinstance(rendered.body, bytes) else structs.replace(rendered, body=b"")
    if rendered.status // 100 == SUCCESS_CLASS:
        # A 2xx response to CONNECT would open a tunnel (RFC 9110, 9.3.6), and clients would not read its body.
        return structs.replace(rendered, status=HTTPStatus.NOT_IMPLEMENTED.value)
    return rendered


def _with_trailers(response: ControlledResponse, request: HttpRequest) -> ControlledResponse:
    """Return the response with the request's trailers, if the client accepts trailers."""
    if not accepts_trailers(request):
        return response
    options = structs.replace(response.options, trailers=filter_trailers(request.trailers))
    return structs.replace(response, options=options)


def _response_kind(controls: ParsedControls, format_name: str | None) -> str:
    """Return a name for the response: its format, the control that replaces the reflection, or `mistake`."""
    if controls.invalid_controls or format_name is None:
        return "mistake"
    return "body" if controls.params.body is not None else "size" if controls.params.size is not None else format_name


def _check_compatibility(controls: ParsedControls, format_name: str | None, client_request_id: str) -> ParsedControls:
    """Reject controls that this format or a request without an ID does not support; ignore those without effect."""
    params = controls.params
    if controls.invalid_controls:
        return controls
    if params.fail_first and not client_request_id:
        return controls.reject(("fail_first",), "requires a valid X-Request-Id header, by which attempts are counted")
    is_events = format_name == EVENTS and params.body is None and params.size is None
    if is_events:
        controls = controls.reject(("drip", "compress"), "not supported for server-sent events")
    elif params.count:
        controls = controls.drop("count", "no effect: the response is not server-sent events")
    if params.seed and params.status is None and params.delay is None:
        controls = controls.drop("seed", "no effect: nothing is chosen at random")
    return controls
