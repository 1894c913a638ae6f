"""The gRPC dispatcher: from the head of a request to its call."""

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from app.config.policy import Policy
from app.config.settings import Settings
from app.grpc import controls, deadline, framing, services
from app.grpc.call import CallOptions, GrpcCall, RejectedCall
from app.grpc.context import CallContext
from app.grpc.metadata import MetadataValue, metadata_values
from app.grpc.status import CallError, StatusCode
from app.http.call import StreamingCall
from app.http.controls_report import EMPTY_REPORT
from app.http.headers import request_id
from app.http.record import CallStatus, GrpcResponseInfo
from app.http.redaction import redact
from app.http.request import (
    DRAINING_KEY,
    RESPONSE_INFO_KEY,
    RESPONSE_OPTIONS_KEY,
    Environ,
    HttpRequest,
    ResponseOptions,
    connection_from_environ,
    request_from_environ,
)
from app.http.response import Response

FORMAT_NAME: Final = "grpc"  # the response format in the access log and the metrics
_HEADERS: Final = (
    ("Content-Type", "application/grpc"),
    ("grpc-accept-encoding", ",".join(each.decode() for each in framing.CODINGS)),
)
_PROTOBUF_MEDIA_TYPES: Final = (b"application/grpc", b"application/grpc+proto")
_MAX_EXCERPT: Final = 60  # maximum bytes of a media type in an error message


class GrpcDispatcher:
    """The dispatcher of calls: settings, policy, clock and random generator."""

    def __init__(self, settings: Settings, policy: Policy, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._policy = policy
        self._clock = clock
        self._random = Random()  # noqa: S311 - no secret is made of it
        self._request_ids = request_id.RequestIds(policy.redacted_in_responses)

    def dispatch(self, environ: Environ) -> Response:
        """Return the response head for a request head, and store the call in the environ."""
        request = request_from_environ(environ, self._settings.max_decoded)
        request_id_header = (request_id.HEADER, self._request_ids.from_environ(environ) or self._request_ids.generate())
        call_status = CallStatus()
        call, headers = self._create_call(request, environ, call_status)
        environ[RESPONSE_OPTIONS_KEY] = ResponseOptions(call=call)
        method = services.method_name(request.target)
        environ[RESPONSE_INFO_KEY] = GrpcResponseInfo(
            FORMAT_NAME, request_id_header[1], self._clock(), EMPTY_REPORT, method, call_status
        )
        return Response(200, (*_HEADERS, request_id_header, *headers), b"")

    def _create_call(
        self, request: HttpRequest, environ: Environ, call_status: CallStatus
    ) -> tuple[StreamingCall, tuple[tuple[str, str], ...]]:
        """Return the call for a request, and the response headers that its controls set.

        Redacted values (ECHO_REDACT_RESPONSES) are in no message and set no control, as in any other response.
        """
        redacted_request = redact(request, self._policy.redacted_in_responses)
        try:
            _check_media_types(metadata_values(request, redacted_request, b"content-type"))
            method = services.find_method(request.target, redacted_request.target)
            call_controls = (
                controls.parse_controls(redacted_request.headers, self._settings)
                if method.has_controls
                else controls.NO_CALL_CONTROLS
            )
            coding = framing.parse_coding(metadata_values(request, redacted_request, b"grpc-encoding"))
            is_single = method.kind is not services.MethodKind.BIDI_STREAMING
            reader = framing.MessageReader(coding, self._settings.max_message, is_single=is_single)
            timeout = deadline.parse_timeout(metadata_values(request, redacted_request, deadline.HEADER_NAME))
            options = CallOptions(timeout, call_controls.delay.choose(self._random), call_controls.status)
        except CallError as error:
            return RejectedCall(error, call_status), ()
        context = CallContext(
            redacted_request,
            connection_from_environ(environ),
            self._policy,
            services.SERVICES,
            bool(environ.get(DRAINING_KEY)),
        )
        return GrpcCall(context, method, reader, options, call_status), call_controls.header


def _check_media_types(media_types: Sequence[MetadataValue]) -> None:
    """Raise `CallError` if messages are not encoded as protobuf."""
    for media_type in media_types:
        if media_type.value.partition(b";")[0].strip().lower() not in _PROTOBUF_MEDIA_TYPES:
            raise CallError(
                StatusCode.UNIMPLEMENTED,
                f"unsupported content-type {media_type.excerpt(_MAX_EXCERPT)};"
                " must be application/grpc or application/grpc+proto",
            )
