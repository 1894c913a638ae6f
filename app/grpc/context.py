"""What a call is answered by: the request, how it came, who answers."""

from collections.abc import Callable

import msgspec

from app.config.policy import Policy
from app.http.request import ConnectionInfo, WireRequest


class Asked(msgspec.Struct, frozen=True):
    """One call, as its head has it. `request` has no value that nobody may see; `services` are those that there are."""

    request: WireRequest
    connection: ConnectionInfo
    policy: Policy
    services: tuple[str, ...] = ()
    draining: bool = False


# From a message of the request to one of the answer, both without their prefix. Raises `CallError`.
Answer = Callable[[Asked, bytes], bytes]
