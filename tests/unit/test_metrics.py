"""Metrics of workers: shared counters, sums, and Prometheus formats."""

import multiprocessing
import threading
from itertools import product
from types import SimpleNamespace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from app.config.downward_api import read_pod_info
from app.config.formats import EVENTS
from app.config.policy import Policy
from app.config.settings import Settings
from app.echo.formats.renderers import RENDERERS
from app.http.observer import Gauges
from app.server.http2.frames import ErrorCode
from app.telemetry.counters import Counters, decode_counters, encode_counters, sum_counters
from app.telemetry.exposition import encode_metrics
from app.telemetry.metrics import BUCKETS, FAMILIES, METHODS, OTHER, REJECTION_FORMAT
from app.telemetry.shared_metrics import MAX_COUNTERS_SIZE, SharedMetrics
from app.telemetry.telemetry import Telemetry

FORMATS = (*RENDERERS, EVENTS, "body", "size", "mistake", REJECTION_FORMAT)
PROTOCOLS = ("HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "websocket")
KEY = ("GET", "2", "HTTP/1.1", "json")
PREFERRED = (  # what Prometheus sends
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


def counted(times: int = 1, seconds: float = 0.0002) -> Counters:
    """Return a tally of some requests, one refusal, and one of everything else."""
    tally = Counters(
        connections=1, received_bytes=10, sent_bytes=20, dropped_lines=1, worker_starts=1, gauges=Gauges(1, 1, 1, 1, 1)
    )
    for _ in range(times):
        tally.count_request(KEY, seconds)
    tally.count_rejection("timeout")
    return tally


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Parse the text format as another program does."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read_text(text.decode())
        for sample in family.samples
    }


def test_the_sum_is_of_all() -> None:
    """Each number and each bucket is summed."""
    sum_ = sum_counters([counted(2), counted(3, seconds=100.0), Counters()])
    assert sum_.requests == {KEY: 5}
    assert sum_.rejections == {"timeout": 2}
    durations = sum_.durations["HTTP/1.1"]
    assert (durations.counts[2], durations.counts[-1], sum(durations.counts)) == (2, 3, 5)
    assert durations.seconds == pytest.approx(300.0004)
    assert (sum_.connections, sum_.received_bytes, sum_.sent_bytes, sum_.dropped_lines, sum_.worker_starts) == (
        2,
        20,
        40,
        2,
        2,
    )
    assert sum_.gauges == Gauges(2, 2, 2, 2, 2)


@pytest.mark.parametrize("seconds", [0.0, BUCKETS[0], BUCKETS[0] * 1.01, BUCKETS[-1], 1000.0])
def test_a_bucket_holds_what_is_at_most_its_bound(seconds: float) -> None:
    """A bucket includes its limit, as `le` says; longer durations are in +Inf."""
    tally = Counters()
    tally.count_request(KEY, seconds)
    bound = [*BUCKETS, float("inf")][tally.durations["HTTP/1.1"].counts.index(1)]
    assert seconds <= bound
    assert bound == BUCKETS[0] or seconds > max((each for each in BUCKETS if each < bound), default=-1)


def everything() -> Counters:
    """Return a tally with each method, class, protocol, format and reason."""
    tally = counted()
    for method, status, protocol, form in product((*METHODS.values(), OTHER), "12345", PROTOCOLS, FORMATS):
        key = (method, status, protocol, form)
        tally.count_request(key, 0.1)
        tally.requests[key] = 2**53
    for code in ErrorCode:
        tally.count_rejection(f"http2_{code.name.lower()}")
    return tally


def test_all_that_can_be_counted_has_room() -> None:
    """Every combination fits in a worker's slot, so that no client can fill it."""
    data = encode_counters(everything())
    assert len(data) * 1.5 < MAX_COUNTERS_SIZE
    assert decode_counters(data) == everything()


def test_a_place_is_gone_on_with() -> None:
    """A new worker continues the counts of the one whose slot it takes; gauges start from zero."""
    board = SharedMetrics(2)
    place = board.acquire_slot()
    assert place is not None
    assert board.read_slot(place) == Counters()
    board.write_slot(place, counted(3))
    board.release_slot(place)
    assert board.acquire_slot() == place
    left = board.read_slot(place)
    assert (left.requests, left.gauges) == ({KEY: 3}, Gauges())
    assert board.acquire_slot() is not None
    assert board.acquire_slot() is None, "there are two places"


def test_what_another_process_writes_is_read_whole() -> None:
    """A tally is always read whole and never decreases, although another process writes all the time."""
    board = SharedMetrics(1)
    place = board.acquire_slot()
    assert place is not None
    most = 3000

    def write() -> None:
        for count in range(1, most + 1):
            # The length changes, so that a mixture could not be parsed.
            board.write_slot(place, Counters(received_bytes=count, rejections={"x" * (count % 97): count}))

    process = multiprocessing.get_context("fork").Process(target=write)
    process.start()
    seen = 0
    while seen < most:
        tally = board.read_slot(place)
        assert tally.received_bytes >= seen
        assert not tally.received_bytes or list(tally.rejections.values()) == [tally.received_bytes]
        seen = tally.received_bytes
        assert seen == most or process.is_alive() or board.read_slot(place).received_bytes == most
    process.join(20)
    assert process.exitcode == 0


def test_a_place_that_is_written_to_is_always_taken() -> None:
    """A slot being written is always marked as used.

    Otherwise its worker's counts would disappear for a moment, and another worker might take it.
    """
    board = SharedMetrics(1)
    place = board.acquire_slot()
    assert place is not None
    most = 100_000

    def write() -> None:
        for count in range(1, most + 1):
            board._write_header(place, 1, count)  # noqa: SLF001 - all that another process looks at first

    process = multiprocessing.get_context("fork").Process(target=write)
    process.start()
    seen = (1, 0)
    while seen != (1, most):
        state = board._read_header(place)  # noqa: SLF001
        assert state[0] == 1
        assert state >= seen
        assert state[1] == most or process.is_alive() or board._read_header(place) == (1, most)  # noqa: SLF001
        seen = state
    process.join(20)
    assert process.exitcode == 0


def test_what_was_half_written_is_not_read() -> None:
    """A worker killed while it writes leaves its previous counts."""
    board = SharedMetrics(1)
    place = board.acquire_slot()
    assert place is not None
    board.write_slot(place, counted(1))
    there, count = board._read_header(place)  # noqa: SLF001 - its memory, as a worker leaves it that does not come to its end
    board.write_slot(place, counted(2))
    board._write_header(place, there, count)  # noqa: SLF001
    assert board.read_slot(place).requests == {KEY: 1}


def test_the_text_format_says_it_all() -> None:
    """The library's own parser finds every family and every sample."""
    text, media_type = encode_metrics("", [counted(2), counted(1)], 10)
    assert media_type == "text/plain; version=0.0.4; charset=utf-8"
    found = samples(text)
    labels = (("format", "json"), ("method", "GET"), ("protocol", "HTTP/1.1"), ("status", "2xx"))
    assert found["echo_requests_total", labels] == 3
    protocol = ("protocol", "HTTP/1.1")
    assert found["echo_request_duration_seconds_bucket", (("le", "0.0001"), protocol)] == 0
    assert found["echo_request_duration_seconds_bucket", (("le", "0.00025"), protocol)] == 3
    assert found["echo_request_duration_seconds_bucket", (("le", "+Inf"), protocol)] == 3
    assert found["echo_request_duration_seconds_count", (protocol,)] == 3
    assert found["echo_refusals_total", (("reason", "timeout"),)] == 2
    assert found["echo_workers", ()] == 2
    assert found["echo_connections_limit", ()] == 20
    assert found["echo_draining", ()] == 1
    assert {family.name for family in read_text(text.decode())} == {name.removesuffix("_total") for name in FAMILIES}


def test_openmetrics_is_for_who_prefers_it() -> None:
    """OpenMetrics is sent to clients that prefer it, as Prometheus does, with the same samples."""
    text, media_type = encode_metrics(PREFERRED, [counted()], 1)
    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    read = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read_openmetrics(text.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
    }
    assert read == samples(encode_metrics("text/plain", [counted()], 1)[0])


@pytest.mark.parametrize("accept", ["image/png", "application/openmetrics-text;version=x", "/", ",", "é", "text/*"])
def test_whatever_is_accepted_there_is_an_answer(accept: str) -> None:
    """A scraper that accepts neither format gets the text format."""
    text, media_type = encode_metrics(accept, [counted()], 1)
    assert text
    assert media_type.partition(";")[0] in {"text/plain", "application/openmetrics-text"}


def test_a_worker_goes_on_where_another_one_was() -> None:
    """Counts survive a change of workers through the arbiter's hooks."""
    telemetry = Telemetry(Settings(), Policy(read_pod_info({})))

    def work(age: int, requests: int) -> Telemetry:
        worker = SimpleNamespace(age=age)
        telemetry.reserve_slot(worker)
        telemetry.open_slot(worker)
        watch = telemetry.create_observer(lambda *_: None, lambda _: None, lambda: Gauges(connections=requests))
        assert watch is not None
        for _ in range(requests):
            watch.counters.count_request(KEY, 0.1)
        telemetry.publish()
        return telemetry

    work(1, 2)
    telemetry.release_worker_slot(1)
    work(2, 3)
    found = samples(telemetry.metrics("")[0])
    assert (
        found[
            "echo_requests_total", (("format", "json"), ("method", "GET"), ("protocol", "HTTP/1.1"), ("status", "2xx"))
        ]
        == 5
    )
    assert found["echo_worker_starts_total", ()] == 2
    assert found["echo_workers", ()] == 1
    assert found["echo_connections_open", ()] == 3


def test_nothing_is_counted_where_nothing_is_told() -> None:
    """Without metrics and access log, there is no watch."""
    telemetry = Telemetry(Settings(metrics="off"), Policy(read_pod_info({})))
    assert telemetry.create_observer(lambda *_: None, lambda _: None, Gauges) is None
    assert threading.active_count() == 1
