"""Reload by SIGHUP: settings, certificates and keys.

No request is lost, and an error keeps the current configuration.
"""

import http.client
import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

import pytest

from app.server.process.arbiter import LOOK
from app.server.process.signals import UNUSED
from tests.http.certificates import Secret, served_serial, trusting
from tests.http.process import DEADLINE, Echo, in_time, read_lines, running, starting, wait_until
from tests.http.programs import go_program
from tests.http.test_stopping import ends_or_is_reset, takes, with_half_a_body
from tests.http.under_way import everything


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return an empty settings file."""
    made = tmp_path / "echo.env"
    made.touch()
    return made


def reload(echo: Echo) -> list[str]:
    """Send SIGHUP, wait for the reload, and return the settings reported as changed."""
    echo.process.send_signal(signal.SIGHUP)
    return reloaded(echo)


def reloaded(echo: Echo) -> list[str]:
    """Wait until the echo reports a reload; return the changed settings."""
    (said,) = echo.says()
    start, _, changed = said.partition("; changed settings: ")
    assert start == "echo: reloaded"
    return [] if changed == "none" else changed.split(", ")


def last_silence(echo: Echo) -> float:
    """Wait for output; return the time of the last check at which there was none."""
    assert echo.process.stdout is not None
    began = silent = time.monotonic()
    while not select.select([echo.process.stdout], [], [], 0.01)[0]:
        silent = time.monotonic()
        assert silent < began + DEADLINE, "it says nothing"
    return silent


def test_what_is_under_way_is_finished(tmp_path: Path) -> None:
    """Requests in progress are completed by the old worker, without the drain deadline; the echo stays ready."""
    secret = Secret(tmp_path)

    def check() -> None:
        with running(**secret.settings, drain_seconds=0.1) as echo:
            with everything(echo) as under_way:
                (before,) = echo.workers()
                echo.process.send_signal(signal.SIGHUP)
                # The reload is reported a few checks of the workers after the old ones were signalled.
                under_way.ask(last_silence(echo) - 10 * LOOK)
                assert reloaded(echo) == []
                assert all(echo.ready() for _ in range(20))
            assert under_way.failed == {}
            wait_until(lambda: before not in echo.workers(), "the worker of before ends")
            assert echo.get("/after")[1] == b"<b>Got: after</b>!"
            assert echo.end(signal.SIGTERM) == 0
            assert echo.errors() == ""

    in_time(check)


class Load:
    """Clients that send requests on new and persistent connections, and check readiness, until they are stopped."""

    def __init__(self, echo: Echo) -> None:
        self.came = Counter[str]()
        self._echo = echo
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(fresh,)) for fresh in (True, False, False)]
        self._threads.append(threading.Thread(target=self._probe))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE)

    def wait_for(self, more: int) -> None:
        """Wait until so many more results have been counted."""
        wanted = self.came.total() + more
        wait_until(lambda: self.came.total() >= wanted, f"{more} more have come")

    def _ask(self, fresh: bool) -> None:  # noqa: FBT001 - a thread's argument
        client = http.client.HTTPSConnection("localhost", self._echo.port, context=trusting(), timeout=DEADLINE)
        while not self._stop.is_set():
            try:
                client.request("POST", "/a?echo_format=bare", body=b"hello")
                self.came[client.getresponse().read().decode()] += 1
            except (OSError, http.client.HTTPException) as error:
                self.came[repr(error)] += 1
            if fresh:
                client.close()
        client.close()

    def _probe(self) -> None:
        while not self._stop.is_set():
            self.came["ready" if self._echo.ready() else "not ready"] += 1


def test_nothing_is_lost_under_load(tmp_path: Path, file: Path) -> None:
    """While settings and certificates change under load, each request gets a response, and the echo stays ready.

    The load uses HTTP/1.1 over TLS and unencrypted HTTP/2; at the end, the shutdown loses no request either.
    """
    secret = Secret(tmp_path)
    asked = ("-until-refused", "-count=500", "-at-once=10", "-clients=2", f"-deadline={5 * DEADLINE}s", "-method=POST")
    with running(**secret.settings, env_file=file, workers=2) as echo:
        command = [str(go_program("h2client")), *asked, "-body=hello", f"http://127.0.0.1:{echo.port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as client:
            assert client.stdout is not None
            assert read_lines(client.stdout, 1) == ["under way"]
            with Load(echo) as load:
                for answer, line in (
                    (b"GET /b HTTP/1.1\r\n", "ECHO_FORMAT=text\n"),
                    (b'{"path":"/b",', "ECHO_FORMAT=json\nECHO_PRETTY=off\n"),
                    (b"<b>Got: b</b>!", ""),
                ):
                    file.write_text(line)
                    secret.swap()
                    assert reload(echo)
                    assert echo.get("/b")[1].startswith(answer)
                    assert served_serial(echo) == secret.serial
                    load.wait_for(30)
            assert echo.end(signal.SIGTERM) == 0
            report = json.loads(client.stdout.read())
        assert set(load.came) == {"<b>Got: a</b>!", "ready"}
        assert report["failures"] == {}
        assert set(report["answers"]) == {"200 HTTP/2.0"}
        assert echo.errors() == ""


def test_a_mistake_changes_nothing(tmp_path: Path, file: Path) -> None:
    """Every error is reported and no worker is replaced; when the errors are corrected, the settings are applied."""
    keys = tmp_path / "keys.json"
    file.write_text("ECHO_WORKERS=2\n")
    with running(env_file=file) as echo:
        wait_until(lambda: len(echo.workers()) == 2, "both workers are there")
        workers = echo.workers()
        for text, told in (
            (
                f"ECHO_FORMAT=text\nECHO_PORT=1\nECHO_WORKERS=none\nECHO_JWKS={keys}\n",
                [
                    f"{file}:2: ECHO_PORT can only be set in the environment",
                    f"{file}:3: ECHO_WORKERS='none': must be a whole number from 1 to 256",
                    f"{file}:4: ECHO_JWKS=",
                ],
            ),
            ("ECHO_FORMAT=text\nECHO_TLS_CERT=/nowhere\n", ["ECHO_TLS_CERT and ECHO_TLS_KEY go together"]),
            (
                "ECHO_FORMAT=text\nECHO_TLS_CERT=/nowhere\nECHO_TLS_KEY=/nowhere\n",
                ["can't use /nowhere for TLS: No such file or directory"],
            ),
        ):
            file.write_text(text)
            echo.process.send_signal(signal.SIGHUP)
            *mistakes, end = echo.complains(len(told) + 1)
            assert [said.removeprefix("echo: ")[: len(says)] for said, says in zip(mistakes, told, strict=True)] == told
            assert end == "echo: reload failed; keeping the current configuration"
            assert echo.get("/a")[1] == b"<b>Got: a</b>!"
            assert echo.workers() == workers
        file.write_text("ECHO_FORMAT=text\nECHO_WORKERS=1\n")
        assert reload(echo) == ["ECHO_WORKERS", "ECHO_FORMAT"]
        assert echo.get("/a")[1].startswith(b"GET /a HTTP/1.1\r\n")
        wait_until(lambda: len(echo.workers()) == 1, "one worker is left")
        assert not set(workers) & set(echo.workers())
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""


def counted(echo: Echo) -> list[bytes]:
    """Return the number of responses of each kind, from the metrics."""
    _, metrics = echo.get("/metrics", port=echo.admin_port)
    return re.findall(rb"^echo_requests_total{.*} (\S+)$", metrics, re.MULTILINE)


def test_what_was_counted_goes_on(file: Path) -> None:
    """Metrics are kept across a reload; an access log enabled by it starts, and has stdout for itself from then on."""
    with running(env_file=file) as echo:
        for _ in range(3):
            echo.get("/before")
        file.write_text("ECHO_ACCESS_LOG=json\n")
        echo.process.send_signal(signal.SIGHUP)
        assert echo.complains(1) == ["echo: reloaded; changed settings: ECHO_ACCESS_LOG"]
        echo.get("/after")
        assert json.loads(echo.says()[0])["target"] == "/after"
        wait_until(lambda: counted(echo) == [b"4.0"], "the three of before are counted, too")
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""


def test_a_second_one_waits_for_the_first_within_the_drain_time() -> None:
    """A reload waits for the previous one within the drain time, so that there are at most two generations.

    Any number of signals meanwhile cause one reload.
    """
    with running(drain_seconds=0.5) as echo, with_half_a_body(echo) as stuck:
        (before,) = echo.workers()
        reload(echo)
        assert before in echo.workers(), "it waits for the rest of the body"
        for _ in range(5):
            echo.process.send_signal(signal.SIGHUP)
        reloaded(echo)
        assert before not in echo.workers()
        assert ends_or_is_reset(stuck)
        assert echo.end(signal.SIGTERM) == 0


def test_a_stop_during_a_reload_is_a_stop() -> None:
    """A stop during a reload ends new and old workers gracefully, within the drain time."""
    with running(drain_seconds=600) as echo:
        assert echo.get("/")[0].status == 200
        before = echo.workers()
        echo.process.send_signal(signal.SIGHUP)
        wait_until(lambda: echo.workers() != before, "the new worker has begun")
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""
    with running(drain_seconds=0.5) as echo, with_half_a_body(echo) as stuck:
        reload(echo)
        assert echo.end(signal.SIGTERM) == 0
        assert ends_or_is_reset(stuck)
        assert echo.errors() == ""


def test_one_that_comes_during_the_start_is_taken_behind_it() -> None:
    """A SIGHUP during startup is handled afterwards: it does not end the process, and later changes are read."""
    with starting() as echo:
        wait_until(lambda: takes(echo, signal.SIGTERM), "it takes signals")
        echo.process.send_signal(signal.SIGHUP)
        assert echo.says(2)[1].startswith("Try: ")
        assert reloaded(echo) == []
        assert echo.end(signal.SIGTERM) == 0


def test_signals_without_a_meaning_do_nothing() -> None:
    """Signals without a meaning have no effect on arbiter and worker, and SIGHUP none on a worker.

    Somebody may send one to all processes.
    """
    with running() as echo:
        assert echo.get("/")[0].status == 200
        (worker,) = echo.workers()
        for number in UNUSED:
            echo.process.send_signal(number)
        for number in (signal.SIGHUP, *UNUSED):
            os.kill(worker, number)
        reload(echo)  # the reload is handled after the other signals
        wait_until(lambda: len(echo.workers()) == 1, "the worker of before ends")
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""
