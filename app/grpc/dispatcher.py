"""The gRPC dispatcher: from the head of a request to its call."""

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from app.config.policy import Policy
from app.config.settings import Settings
from app.grpc import controls, deadline, framing, services
from app.grpc.call import GrpcCall, Refused, Terms
from app.grpc.context import Asked
from app.grpc.metadata import Given, given
from app.grpc.status import CallError, Code
from app.http.call import Call
from app.http.controls_report import NOTHING
from app.http.grpc_record import Called, Ending
from app.http.headers import request_id
from app.http.redaction import redacted
from app.http.request import (
    ABOUT_KEY,
    DRAINING_KEY,
    EFFECTS_KEY,
    Effects,
    Environ,
    WireRequest,
    connection_of,
    request_of,
)
from app.http.response import Sent

NAME: Final = "grpc"  # the response format in the access log and the metrics
_FIELDS: Final = (
    ("Content-Type", "application/grpc"),
    ("grpc-accept-encoding", ",".join(each.decode() for each in framing.CODINGS)),
)
_WRITTEN: Final = (b"application/grpc", b"application/grpc+proto")
_SHOWN: Final = 60  # maximum bytes of a media type in an error message


class Grpc:
    """The dispatcher of calls: settings, policy, clock and random generator."""

    def __init__(self, settings: Settings, policy: Policy, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._policy = policy
        self._clock = clock
        self._random = Random()  # noqa: S311 - no secret is made of it
        self._ids = request_id.Ids(policy.hidden)

    def begin(self, environ: Environ) -> Sent:
        """Return the response head for a request head, and store the call in the environ."""
        request = request_of(environ, self._settings.max_decoded)
        identified = (request_id.NAME, self._ids.given(environ) or self._ids.new())
        ending = Ending()
        call, fields = self._call(request, environ, ending)
        environ[EFFECTS_KEY] = Effects(call=call)
        method = services.name_of(request.target)
        environ[ABOUT_KEY] = Called(NAME, identified[1], self._clock(), NOTHING, method, ending)
        return Sent(200, (*_FIELDS, identified, *fields), b"")

    def _call(self, request: WireRequest, environ: Environ, ending: Ending) -> tuple[Call, tuple[tuple[str, str], ...]]:
        """Return the call for a request, and the response headers that its controls set.

        Redacted values (ECHO_REDACT_RESPONSES) are in no message and set no control, as in any other response.
        """
        told = redacted(request, self._policy.hidden)
        try:
            _check(given(request, told, b"content-type"))
            method = services.method(request.target, told.target)
            wishes = controls.read(told.fields, self._settings) if method.controlled else controls.NONE
            coding = framing.coding(given(request, told, b"grpc-encoding"))
            alone = method.kind is not services.Kind.DIALOGUE
            messages = framing.Messages(coding, self._settings.max_message, alone=alone)
            timeout = deadline.timeout(given(request, told, deadline.FIELD))
            terms = Terms(timeout, wishes.delay.choose(self._random), wishes.status)
        except CallError as error:
            return Refused(error, ending), ()
        asked = Asked(
            told,
            connection_of(environ),
            self._policy,
            services.SERVICES,
            bool(environ.get(DRAINING_KEY)),
        )
        return GrpcCall(asked, method, messages, terms, ending), wishes.header


def _check(media_types: Sequence[Given]) -> None:
    """Raise `CallError` if messages are not encoded as protobuf."""
    for each in media_types:
        if each.value.partition(b";")[0].strip().lower() not in _WRITTEN:
            raise CallError(
                Code.UNIMPLEMENTED,
                f"unsupported content-type {each.quoted(_SHOWN)}; must be application/grpc or application/grpc+proto",
            )
