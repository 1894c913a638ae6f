"""Telemetry of a running echo: metrics of all workers, access log."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.metrics import FAMILIES
from tests.http.process import DEADLINE, Echo, read_answer, read_lines, running
from tests.http.test_websocket import opened
from tests.promtool import check_metrics

Samples = dict[str, float]
HOSTILE = 'SECRET"}\\n{x="'


def scrape(echo: Echo) -> Samples:
    """Return the samples of all metrics, by name and labels as written."""
    answer, text = echo.get("/metrics", port=echo.admin_port)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.decode().splitlines() if line[0] != "#"
    }


def total(samples: Samples, name: str) -> float:
    """Return the sum of a metric's samples."""
    return sum(value for key, value in samples.items() if key.partition("{")[0] == name)


def eventually(echo: Echo, holds: Callable[[Samples], bool]) -> Samples:
    """Scrape until a condition holds: a worker reports its counts to the others twice a second."""
    give_up = time.monotonic() + DEADLINE
    while not holds(samples := scrape(echo)):
        assert time.monotonic() < give_up, samples
    return samples


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    """Yield an echo with two workers."""
    with running(workers=2) as started:
        yield started


def test_every_request_is_counted_whoever_answered_it(echo: Echo) -> None:
    """Every request is counted once, by either worker; requests to the admin port are not counted."""
    before = total(scrape(echo), "echo_requests_total")
    for number in range(40):
        assert echo.get(f"/{number}", {"Accept": "application/json"})[0].status == 200
    eventually(echo, lambda samples: total(samples, "echo_requests_total") == before + 40)
    samples = eventually(echo, lambda told: (told["echo_connections_open"], told["echo_workers"]) == (0, 2))
    assert samples['echo_requests_total{format="json",method="GET",protocol="HTTP/1.1",status="2xx"}'] >= 40
    assert samples['echo_request_duration_seconds_bucket{le="+Inf",protocol="HTTP/1.1"}'] == total(
        samples, "echo_request_duration_seconds_count"
    )


def test_what_is_open_is_told_while_it_is(echo: Echo) -> None:
    """An incomplete request, a WebSocket and their connections are reported while they are open."""
    with echo.connect() as waiting, opened(echo):
        waiting.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        eventually(
            echo,
            lambda samples: (
                (
                    samples["echo_requests_in_flight"],
                    samples["echo_websockets_open"],
                    samples["echo_connections_open"],
                )
                == (1, 1, 2)
            ),
        )
        waiting.sendall(b"x")
        assert read_answer(waiting)[0].status == 200
    eventually(echo, lambda samples: samples["echo_connections_open"] == samples["echo_requests_in_flight"] == 0)


def test_requests_over_the_memory_budget_are_counted_by_their_reason() -> None:
    """The label value that alerts select is used for incomplete bodies that exceed ECHO_MEMORY_BUDGET together."""
    incomplete = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n" + bytes(65_535)
    with running(memory_budget=1 << 20) as echo, ExitStack() as opened_sockets:
        for _ in range(20):
            opened_sockets.enter_context(echo.connect()).sendall(incomplete)
        samples = eventually(echo, lambda samples: total(samples, "echo_refusals_total") > 0)
        assert {name for name in samples if name.startswith("echo_refusals_total{")} == {
            'echo_refusals_total{reason="over_memory_budget"}'
        }


def test_no_label_is_what_a_client_wrote(echo: Echo) -> None:
    """No label has a value from a client, for any method, path, header, format or control; promtool finds no error."""
    method = "".join(character for character in HOSTILE if character.isalnum())
    for line in (f"{method} / HTTP/1.1", f"GET /{method} HTTP/1.1", f"GET /?echo_format={method} HTTP/1.1"):
        echo.exchange(
            f"{line}\r\nHost: a\r\nX-Echo-Status: {HOSTILE}\r\nX-A: {HOSTILE}\r\nConnection: close\r\n\r\n".encode()
        )
    echo.exchange(b"GET / HTTP/1.1\r\nHost: SECRET@\r\n\r\n")
    eventually(echo, lambda samples: samples.get('echo_refusals_total{reason="bad_request"}', 0) > 0)
    text = echo.get("/metrics", port=echo.admin_port)[1].decode()
    assert check_metrics(text) == []
    assert "SECRET" not in text
    values = {
        (name, value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for name, value in sample.labels.items()
        if name != "le"
    }
    assert {name for name, _ in values} <= {label for family in FAMILIES.values() for label in family.labels}
    assert all(re.fullmatch(r"[A-Za-z0-9_./ -]{1,24}", value) for _, value in values)


def test_the_counts_outlive_a_worker(echo: Echo) -> None:
    """After a worker is killed, its reported counts are kept, and its replacement continues to count."""
    for number in range(20):
        echo.get(f"/{number}")
    time_to_tell = eventually(echo, lambda samples: samples["echo_connections_open"] == 0)
    before, starts = total(time_to_tell, "echo_requests_total"), time_to_tell["echo_worker_starts_total"]
    killed = echo.workers()[0]
    os.kill(killed, signal.SIGKILL)
    samples = eventually(
        echo, lambda samples: samples["echo_worker_starts_total"] == starts + 1 and samples["echo_workers"] == 2
    )
    assert total(samples, "echo_requests_total") >= before
    echo.get("/more")
    eventually(echo, lambda samples: total(samples, "echo_requests_total") >= before + 1)


def test_metrics_can_be_off() -> None:
    """With ECHO_METRICS=off, the path /metrics does not exist."""
    with running(metrics="off") as quiet:
        answer, body = quiet.get("/metrics", port=quiet.admin_port)
    assert answer.status == 404
    assert "/metrics" not in json.loads(body)["known"]


def test_the_log_has_a_line_for_each_request() -> None:
    """The access log has only one line per request: startup messages go to stderr, probes are not logged."""
    with running(access_log="json") as logged:
        assert logged.process.stdout is not None
        logged.get("/livez", port=logged.admin_port)
        logged.get("/a?b", {"X-Request-Id": "one", "Authorization": "Basic SECRET"})
        logged.exchange(b"nonsense\r\n\r\n")
        logged.get("/late?echo_delay=50ms", method="PUT")
        with opened(logged):
            pass
        raw = read_lines(logged.process.stdout, 4)
        assert logged.end(signal.SIGTERM) == 0
        assert logged.process.stdout.read() == b""
    lines = [json.loads(line) for line in raw]
    assert [(each["method"], each["target"], each["status"], each["protocol"]) for each in lines] == [
        ("GET", "/a?b", 200, "HTTP/1.1"),
        ("", "", 400, "HTTP/1.1"),
        ("PUT", "/late?echo_delay=50ms", 200, "HTTP/1.1"),
        ("GET", "/", 101, "websocket"),
    ]
    assert lines[0]["id"] == "one"
    assert lines[2]["duration"] >= 0.05
    assert lines[2]["applied"]["granted"][0]["name"] == "delay"
    assert "SECRET" not in "".join(raw)


def test_a_log_that_nobody_reads_holds_up_nobody() -> None:
    """If the log's pipe is full, all requests get their responses, and the echo stops in time."""
    with running(access_log="common") as logged:
        asked = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 900)
        with logged.connect() as sock:
            for _ in range(200):
                sock.sendall(asked)
                assert read_answer(sock)[0].status == 200
        assert logged.get("/after")[0].status == 200
        assert logged.end(signal.SIGTERM) == 0


def test_a_log_that_can_not_be_written_is_said() -> None:
    """If the log's reader has gone, the echo continues, and reports on stderr that logging has stopped."""
    with running(access_log="json") as logged:
        assert logged.process.stdout is not None
        logged.process.stdout.close()
        assert logged.get("/a")[0].status == 200
        assert logged.process.stderr is not None
        assert (
            "failed to write the access log to stdout: Broken pipe; access log stopped"
            in read_lines(logged.process.stderr, 1)[0]
        )
        assert logged.get("/b")[0].status == 200
