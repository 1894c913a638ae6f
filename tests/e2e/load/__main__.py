"""Command that runs the load until SIGTERM, and prints JSON results.

At least COUNT requests are sent.

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

LONGEST: Final = 600  # seconds; after that, no test is left that could stop the load
POLL: Final = 0.05  # seconds


async def wait_until_answered(place: Place) -> None:
    """Wait for a response over each protocol: the node's proxy may learn of pods later than the API server reports."""
    tally, give_up = Tally(), time.monotonic() + TIMEOUT
    for kind in KINDS.values():
        first = Asker(place, Kind(kind.protocol, 1, fresh=True), tally, lambda: True)
        while not await first.ask(new_request("POST")):
            if time.monotonic() > give_up:
                raise TimeoutError(f"no answer within {TIMEOUT} s: {tally.told}")
            await asyncio.sleep(POLL)
        await first.ask_on()


async def ask(host: str, count: int) -> dict[str, Any]:
    """Send requests of each kind, until SIGTERM has arrived and `count` requests were sent; return the results."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    # The name is resolved once, because the cluster's DNS is not under test.
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
    """Run the load, and print the results."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(ask(host, int(count)))))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main(*sys.argv[1:])
