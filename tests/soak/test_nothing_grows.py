"""A million requests of all kinds: no growth of memory or descriptors.

Memory stays as it was after the first 100,000, and nothing is left open.
"""

import os
import ssl
from pathlib import Path
from typing import Final

from tests.http.process import Echo
from tests.http.programs import running_with_tls
from tests.memory import shares
from tests.soak.load import a_round
from tests.soak.test_faults import connected, descriptors, until
from tools.commands import Say

REQUESTS: Final = int(os.environ.get("SOAK_REQUESTS", "1000000"))
FIRST: Final = min(100_000, REQUESTS // 2)  # requests after which everything is warm


def memory(pid: int) -> int:
    """Return the bytes that a process has written, including its share of those that it has in common with its arbiter.

    Mapped files, such as Python and its libraries, are excluded: other processes change their share.
    """
    taken = shares(pid)
    return taken["Pss_Anon"] + taken["Pss_Shmem"]


def at_rest(echo: Echo) -> tuple[int, int]:
    """Return the memory and the descriptors of its only worker, when no client is connected."""
    (worker,) = echo.workers()
    until(lambda: not connected(echo), "all connections are closed")
    return memory(worker), descriptors(echo)


def test_a_million_requests_leave_nothing_behind(tmp_path: Path, say: Say) -> None:
    """After the first 100,000, memory grows by five per cent at most, and no descriptor is added."""
    with running_with_tls(tmp_path, header_timeout=5, body_timeout=5) as secured:
        echo = secured.echo
        context = ssl.create_default_context(cafile=secured.authority)
        assert echo.get("/")[0].status == 200
        (worker,) = echo.workers()
        done, warm, files = 0, 0, 0
        while done < REQUESTS:
            done += a_round(echo.connect, echo.port, context)
            if not warm and done >= FIRST:
                warm, files = at_rest(echo)
                say(f"{done} requests: {warm / (1 << 20):.1f} MiB, {files} descriptors")
        grown, files_now = at_rest(echo)
        say(f"{done} requests: {grown / (1 << 20):.1f} MiB, {files_now} descriptors")
        assert echo.workers() == [worker], "it is the same worker"
        assert files_now == files
        assert grown <= warm * 1.05
        assert echo.process.poll() is None
