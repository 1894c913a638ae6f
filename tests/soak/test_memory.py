"""Memory of echo under all attacks at once, with default settings.

It is less than its pod's limit.
"""

import re
import threading
from contextlib import ExitStack
from typing import Final

import yaml

from tests.http.process import Echo, running
from tests.memory import shares
from tests.soak.attacks import ATTACKS, MIB, connections
from tools.commands import ROOT, Say

_ASKED: Final = 20  # requests of other clients, one after the other, once all attacks are in progress


def limit() -> int:
    """Return the memory limit of a pod in the chart, in bytes."""
    values = yaml.safe_load((ROOT / "helm/values.yaml").read_text())
    found = re.fullmatch(r"(\d+)Mi", values["resources"]["limits"]["memory"])
    assert found is not None
    return int(found[1]) * MIB


def whole(echo: Echo) -> int:
    """Return the memory of all its processes, in bytes."""
    return sum(shares(pid)["Pss"] for pid in (echo.process.pid, *echo.workers()))


def test_all_attacks_at_once_take_less_than_the_pod_may_have(say: Say) -> None:
    """Other clients receive responses all the while: what could be rejected is not buffered for the attackers."""
    with running() as echo, ExitStack() as opened:
        assert echo.get("/")[0].status == 200
        before = most = whole(echo)

        def attack(name: str) -> None:
            for sock in connections(echo.port, name):
                opened.enter_context(sock)

        attackers = [threading.Thread(target=attack, args=(name,), daemon=True) for name in ATTACKS]
        for attacker in attackers:
            attacker.start()
        asked = 0
        while asked < _ASKED or any(attacker.is_alive() for attacker in attackers):
            assert echo.get(f"/{asked}")[1] == b"<b>Got: %d</b>!" % asked
            asked += not any(attacker.is_alive() for attacker in attackers)
            most = max(most, whole(echo))
        say(f"{before / MIB:.0f} MiB became {most / MIB:.0f}, of {limit() / MIB:.0f}")
        assert most < limit()
        assert len(echo.workers()) == 1
        assert echo.process.poll() is None
