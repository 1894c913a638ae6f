"""The context of a gRPC call: its request, connection and server."""

from collections.abc import Callable

import msgspec

from app.config.policy import Policy
from app.http.request import ConnectionInfo, HttpRequest


class CallContext(msgspec.Struct, frozen=True):
    """One call, from its request head. `request` is redacted; `services` are the available services."""

    request: HttpRequest
    connection: ConnectionInfo
    policy: Policy
    services: tuple[str, ...] = ()
    draining: bool = False


# From a request message to a response message, both without their prefix. Raises `CallError`.
MethodHandler = Callable[[CallContext, bytes], bytes]
