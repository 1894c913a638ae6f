"""Results of the load, counted by kind of connection and in total."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.e2e.load.judging import Again, Fault, Reflection

SHOWN: Final = 20  # losses and repeated requests that are reported in full


@dataclass
class Tally:
    """The results of one kind of connections. Each request has a response or is lost, once."""

    asked: int = 0
    answered: int = 0
    connections: int = 0
    slowest: float = 0  # seconds for a response that arrived
    lost: Counter[Fault] = field(default_factory=Counter)
    again: Counter[Again] = field(default_factory=Counter)
    pods: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)

    def answer(self, reflection: Reflection, seconds: float) -> None:
        """Count a correct response."""
        self.answered += 1
        self.slowest = max(self.slowest, seconds)
        self.pods[reflection.pod or ""] += 1
        if reflection.version:
            self.versions[reflection.version] += 1

    def note(self, fault: Fault, detail: str) -> None:
        """Record a loss, with its time."""
        self.lost[fault] += 1
        self._tell(f"{fault}: {detail}")

    def send_again(self, why: Again, detail: str) -> None:
        """Record a request that is sent again, with its time."""
        self.again[why] += 1
        self._tell(detail)

    def _tell(self, what: str) -> None:
        if len(self.told) < SHOWN:
            self.told.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {what}")


def report(tallies: dict[str, Tally]) -> dict[str, Any]:
    """Return the results of each kind, for JSON."""
    return {name: vars(tally) for name, tally in tallies.items()}


def summed(reports: Iterable[dict[str, dict[str, Any]]]) -> dict[str, Tally]:
    """Return the sums of several reports, by kind."""
    sums: dict[str, Tally] = {}
    for kind, told in (item for each in reports for item in each.items()):
        tally = sums.setdefault(kind, Tally())
        tally.asked += told["asked"]
        tally.answered += told["answered"]
        tally.connections += told["connections"]
        tally.slowest = max(tally.slowest, told["slowest"])
        tally.told += [f"{kind}: {line}" for line in told["told"]]
        for name in ("lost", "again", "pods", "versions"):
            getattr(tally, name).update(told[name])
    return sums
