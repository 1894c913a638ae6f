"""Minimal servers for the load client, and checks of what it recorded."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final

from tests.e2e.load.asking import Asker, Kind, Place
from tests.e2e.load.judging import Fault, Request
from tests.e2e.load.tallying import Tally

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Changes = dict[str, Any]

OTHER_BODY: Final[Changes] = {"body": {"length": 1, "sha256": "0"}}


def reflection(request: Request, protocol: str, **changes: Any) -> bytes:
    """Return the correct reflection, with some values replaced."""
    digest = sha256(request.body).hexdigest()
    told: Changes = {
        "id": request.id,
        "method": request.method,
        "path": request.target,
        "proto": protocol,
        "version": "1",
    }
    told |= {"pod": "a", "body": {"length": len(request.body), "sha256": digest}}
    return json.dumps(told | changes).encode()


def port_of(server: asyncio.Server) -> int:
    """Return the port on which a server listens."""
    port: int = server.sockets[0].getsockname()[1]
    return port


def asked(kind: Kind, request: Request, serve: Serve, times: int = 1) -> Tally:
    """Send a request to a server some times; return what the client has recorded."""

    async def ask() -> Tally:
        tally = Tally()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            place = Place("127.0.0.1", port_of(server), "host")
            asker = Asker(place, kind, tally, lambda: True)
            for _ in range(times):
                await asker.ask(request)
            await asker.ask_on()
        return tally

    return asyncio.run(ask())


def assert_noted(tally: Tally, fault: Fault | None) -> None:
    """Check that the fault was recorded exactly once, by its name."""
    assert tally.lost == (Counter({fault: 1}) if fault else Counter()), tally.told
    assert len(tally.told) == tally.lost.total()
    assert tally.answered == (1 if fault in {None, Fault.TWICE} else 0)
