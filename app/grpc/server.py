"""gRPC's part of the application: what a request says that asks for a call becomes that call."""

import time
from collections.abc import Callable
from random import Random
from typing import Final

from app import request_id
from app.answer import Sent
from app.applied import NOTHING
from app.called import Called, Ending
from app.calls import Call
from app.context import Policy
from app.grpc import controls, deadline, framing, services
from app.grpc.asked import Asked
from app.grpc.call import GrpcCall, Refused, Terms
from app.grpc.status import CallError, Code
from app.redaction import redacted
from app.settings import Settings
from app.wire import (
    ABOUT_KEY,
    DRAINING_KEY,
    EFFECTS_KEY,
    Effects,
    Environ,
    WireRequest,
    connection_of,
    request_of,
    shown,
)

NAME: Final = "grpc"  # as the access log and the metrics have the answer's format
_FIELDS: Final = (
    ("Content-Type", "application/grpc"),
    ("grpc-accept-encoding", ",".join(each.decode() for each in framing.CODINGS)),
)
_WRITTEN: Final = ("", "+proto")  # what the media type may say of the messages
_SHOWN: Final = 60  # bytes of a media type


class Grpc:
    """Begins calls: settings and policy, the clock, chance."""

    def __init__(self, settings: Settings, policy: Policy, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._policy = policy
        self._clock = clock
        self._random = Random()  # noqa: S311 - no secret is made of it
        self._ids = request_id.Ids(policy.hidden)

    def begin(self, environ: Environ) -> Sent:
        """Answer the head of a request with that of a call, and leave the call in the environ."""
        request = request_of(environ)
        identified = (request_id.NAME, self._ids.given(environ) or self._ids.new())
        ending = Ending()
        call, fields = self._call(request, environ, ending)
        environ[EFFECTS_KEY] = Effects(call=call)
        method = services.name_of(request.target)
        environ[ABOUT_KEY] = Called(NAME, identified[1], self._clock(), NOTHING, method, ending)
        return Sent(200, (*_FIELDS, identified, *fields), b"")

    def _call(self, request: WireRequest, environ: Environ, ending: Ending) -> tuple[Call, tuple[tuple[str, str], ...]]:
        """Give the call that a request asks for, and the fields that it wants of the answer."""
        try:
            _check(environ.get("CONTENT_TYPE", ""))
            method = services.method(request.target)
            wishes = controls.read(request.fields, self._settings) if method.controlled else controls.NONE
            messages = framing.Messages(framing.coding(request.fields), self._settings.max_message)
            terms = Terms(deadline.timeout(request.fields), wishes.delay.choose(self._random), wishes.status)
        except CallError as error:
            return Refused(error, ending), ()
        asked = Asked(
            redacted(request, self._policy.hidden),
            connection_of(environ),
            self._policy,
            services.SERVICES,
            bool(environ.get(DRAINING_KEY)),
        )
        return GrpcCall(asked, method, messages, terms, ending), wishes.header


def _check(media_type: str) -> None:
    """Raise `CallError` where messages are written in another way than protobuf's."""
    written = media_type.partition(";")[0].strip().removeprefix("application/grpc")
    if written not in _WRITTEN:
        told = shown(media_type[:_SHOWN].encode("latin-1"))
        raise CallError(Code.UNIMPLEMENTED, f"messages are protobuf here, not {told}")
