"""Commands of the load generators, and parsing of their output."""

import pytest

from tools.bench.asked import BARE, JSON, posting, with_fields
from tools.bench.load import Load, script
from tools.bench.told import Loaded, LoadError, by_h2load, by_vegeta, by_wrk

WRK = """Running 1s test @ http://127.0.0.1:20146/anything
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
  Socket errors: connect 0, read 1, write 0, timeout 0
Requests/sec:   7498.25

{"requests":14997,"microseconds":2000066,"p50":8444,"p99":10001,"failed":1}
"""
H2LOAD = """starting benchmark...
finished in 2.14s, 4260.00 req/s, 13.16MB/s
requests: 8528 total, 9552 started, 8528 done, 8520 succeeded, 8 failed, 8 errored, 0 timeout
status codes: 8518 2xx, 0 3xx, 2 4xx, 0 5xx
"""
VEGETA = """{"latencies":{"total":61,"mean":6,"50th":6500000,"90th":7,"95th":8,"99th":9500000,"max":10,"min":1},
"bytes_in":{"total":1,"mean":1},"bytes_out":{"total":0,"mean":0},"earliest":"2026-11-24T18:43:11.1Z",
"latest":"2026-11-24T18:43:12.1Z","end":"2026-11-24T18:43:12.1Z","duration":2000000000,"wait":1,"requests":100,
"rate":50.1,"throughput":50,"success":0.98,"status_codes":{"0":2,"200":98},"errors":["EOF"]}
"""


def test_what_wrk_tells_is_read() -> None:
    """Times are in seconds, and every kind of failure is counted."""
    assert by_wrk(WRK) == Loaded(14_997, 2.000066, 0.008444, 0.010001, 1)


def test_what_h2load_tells_is_read() -> None:
    """Failed requests, and those with another status, are failures. The printed duration is not that of the rate."""
    log = "".join(f"{number}\t200\t{1000 * number}\n" for number in range(100, 0, -1))
    assert by_h2load(H2LOAD, log) == Loaded(8520, 2.0, 0.051, 0.1, 10)


def test_h2loads_statuses_need_not_be_as_many_as_its_whole_answers() -> None:
    """It counts a status when the head is received, which may be before the measured time, or the body after it."""
    for count in (8500, 8540):
        told = by_h2load(H2LOAD.replace("8518 2xx, 0 3xx, 2 4xx", f"{count} 2xx, 0 3xx, 0 4xx"), "")
        assert (told.requests, told.failed) == (8520, 8)


def test_what_vegeta_tells_is_read() -> None:
    """Times are nanoseconds, and the success ratio is a share."""
    assert by_vegeta(VEGETA) == Loaded(98, 2.0, 0.0065, 0.0095, 2)


@pytest.mark.parametrize("tell", [by_wrk, lambda output: by_h2load(output, ""), by_vegeta])
@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1 Connection refused\n", "{}", "\xff{"])
def test_what_no_tool_says_is_no_measurement(tell: object, output: str) -> None:
    """A tool that failed is reported, with all of its output."""
    assert callable(tell)
    with pytest.raises(LoadError, match="did not come to an end; it said:"):
        tell(output)


@pytest.mark.parametrize(
    ("request_", "way", "lines"),
    [
        (BARE, "kept", {'wrk.method = "GET"', "depth = 1"}),
        (JSON, "kept", {'wrk.headers["X-Forwarded-For"] = "203.0.113.9"', "depth = 1"}),
        (BARE, "fresh", {'wrk.headers["Connection"] = "close"'}),
        (BARE, "pipelined", {"depth = 16"}),
        (JSON, "numbered", {"numbered = true", "depth = 1"}),
        (posting(1024), "kept", {'wrk.method = "POST"', 'wrk.body = string.rep("y", 1024)'}),
    ],
)
def test_wrk_is_told_the_request(request_: object, way: object, lines: set[str]) -> None:
    """The script is compared line by line."""
    told = script(request_, Load(way, 1, 1))  # type: ignore[arg-type] # columns of the table
    assert lines <= {*told.splitlines()}
    assert told.endswith("end\n")


@pytest.mark.parametrize("count", [2, 12, 200])
def test_a_request_has_as_many_fields_as_are_asked_for(count: int) -> None:
    """Host, which every client sends, is one of them; no name is repeated."""
    names = {name for name, _ in with_fields(count).fields}
    assert len(names) == count - 1


def test_a_browsers_request_has_twelve_fields() -> None:
    """Host is one of the twelve headers."""
    assert len(JSON.fields) + 1 == 12
