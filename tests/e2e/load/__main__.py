"""Asks a Service until SIGTERM, and until there were as many requests as wanted; prints what came as JSON.

usage: python3 -m tests.e2e.load HOST COUNT
"""

import asyncio
import json
import signal
import socket
import sys
import time
from typing import Any, Final

import uvloop

from tests.e2e.load.asking import KINDS, Asker, Kind, Place
from tests.e2e.load.judging import TIMEOUT, new_request
from tests.e2e.load.tallying import Tally, report

LONGEST: Final = 600  # seconds, after which nobody is there any more to say that it is enough
POLL: Final = 0.05  # seconds


async def wait_until_answered(place: Place) -> None:
    """Return when there is an answer: the node's proxy may hear of the pods later than the API server says so."""
    tally, give_up = Tally(), time.monotonic() + TIMEOUT
    for kind in KINDS.values():
        first = Asker(place, Kind(kind.protocol, 1, fresh=True), tally, lambda: True)
        while not await first.ask(new_request("POST")):
            if time.monotonic() > give_up:
                raise TimeoutError(f"no answer within {TIMEOUT} s: {tally.told}")
            await asyncio.sleep(POLL)
        await first.ask_on()


async def ask(host: str, count: int) -> dict[str, Any]:
    """Ask by each kind, until it is told that it is enough, and has asked `count` times; give what came."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    # The name is looked up once: the cluster's DNS is not what is asked here.
    name, _, port = host.partition(":")
    place = Place(socket.gethostbyname(name), int(port or 80), host)
    await wait_until_answered(place)
    tallies, give_up = {name: Tally() for name in KINDS}, time.monotonic() + LONGEST

    def enough() -> bool:
        asked = sum(tally.asked for tally in tallies.values())
        return (told.is_set() and asked >= count) or time.monotonic() > give_up

    askers = [
        Asker(place, kind, tallies[name], enough).ask_on()
        for name, kind in KINDS.items()
        for _ in range(kind.connections)
    ]
    asking = asyncio.gather(*askers)
    while not asking.done() and not all(tally.answered or tally.lost for tally in tallies.values()):
        await asyncio.wait([asking], timeout=POLL)
    print("asking", flush=True)  # noqa: T201 - what it is for
    await asking
    return report(tallies)


def main(host: str, count: str) -> None:
    """Ask, and print what came."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(ask(host, int(count)))))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main(*sys.argv[1:])
