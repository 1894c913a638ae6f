"""Run in a pod of the echo's own image: asks a Service until SIGTERM; prints what came as JSON.

Half of its threads keep their connection for as long as the server does, half open one for each request. Nothing is
tried again: what a client that repeats its requests would not notice counts as failed here.

usage: load_client.py HOST
"""

import http.client
import json
import signal
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

THREADS = 3  # of each kind
TIMEOUT = 10  # seconds for each step of a request
PAUSE = 0.02  # seconds between a thread's requests: the echo's loss is looked for, not its limit
LONGEST = 400  # seconds, after which nobody is there any more to say that it is enough
SHOWN = 20  # failures that are told in full


@dataclass
class Told:
    """What one thread saw."""

    kind: str
    answers: int = 0
    connections: int = 0
    slowest: float = 0
    pods: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Client(http.client.HTTPConnection):
    """A client that counts its connections."""

    def __init__(self, address: str, told: Told) -> None:
        super().__init__(address, timeout=TIMEOUT)
        self._told = told

    def connect(self) -> None:
        super().connect()
        self._told.connections += 1


def ask(client: Client, host: str, told: Told) -> bool:
    """Ask once; note who answered, or what went wrong; give whether it was answered right."""
    began = time.monotonic()
    try:
        client.request("GET", "/load?echo_pretty=0", headers={"Host": host, "Accept": "application/json"})
        answer = client.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise ValueError(f"status {answer.status}: {body[:200]!r}")  # noqa: TRY301 - as any other failure
        told.pods[json.loads(body)["pod"]] += 1
        told.answers += 1
        told.slowest = max(told.slowest, time.monotonic() - began)
    except (OSError, ValueError, http.client.HTTPException) as error:
        now = time.monotonic()
        at = time.strftime("%H:%M:%S", time.gmtime())
        told.failures.append(f"{at} {told.kind}, after {now - began:.3f} s: {type(error).__name__}: {error}")
        client.close()
        return False
    return True


def keep_asking(address: str, host: str, told: Told, enough: threading.Event) -> None:
    """Ask until it is enough; the address may have a port."""
    client = Client(address, told)
    while not enough.is_set():
        ask(client, host, told)
        if told.kind == "fresh":
            client.close()
        enough.wait(PAUSE)
    client.close()


def wait_until_answered(address: str, host: str) -> None:
    """Return when there is an answer: the node's proxy may hear of the pods later than the API server says so."""
    client, give_up = Client(address, Told("first")), time.monotonic() + TIMEOUT
    while not ask(client, host, told := Told("first")):
        if time.monotonic() > give_up:
            raise TimeoutError(f"no answer within {TIMEOUT} s: {told.failures}")
        time.sleep(PAUSE)
    client.close()


def summed_up(all_told: list[Told]) -> dict[str, object]:
    """Give the sums, by kind of client where they differ."""
    by_kind: dict[str, Counter[str]] = {"kept": Counter(), "fresh": Counter()}
    pods: Counter[str] = Counter()
    for told in all_told:
        by_kind[told.kind].update(answers=told.answers, connections=told.connections)
        pods.update(told.pods)
    failures = sorted(failure for told in all_told for failure in told.failures)
    return {
        **by_kind,
        "pods": pods,
        "failed": len(failures),
        "failures": failures[:SHOWN],
        "slowest": max(told.slowest for told in all_told),
    }


def main(host: str) -> dict[str, object]:
    """Ask until SIGTERM; give what came."""
    enough = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: enough.set())
    address = socket.gethostbyname(host)  # once: the cluster's DNS is not what is asked here
    wait_until_answered(address, host)
    all_told = [Told(kind) for kind in ("kept", "fresh") * THREADS]
    threads = [threading.Thread(target=keep_asking, args=(address, host, told, enough)) for told in all_told]
    for thread in threads:
        thread.start()
    while not enough.is_set() and not all(told.answers or told.failures for told in all_told):
        enough.wait(PAUSE)
    print("asking", flush=True)  # noqa: T201 - what it is for
    enough.wait(LONGEST)
    enough.set()
    for thread in threads:
        thread.join()
    return summed_up(all_told)


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))  # noqa: T201 - what it is for
