"""Checks of the benchmark: wrong responses are not measured."""

import hashlib
import json
import threading
from collections.abc import Collection

import pytest

from tests.http.process import wait_until
from tools.bench import checking, processes
from tools.bench.__main__ import main
from tools.bench.asked import BARE, JSON, Request, posting
from tools.bench.choosing import KNOWN, chosen, missing
from tools.bench.curves import CURVES
from tools.bench.figures import FIGURES

POST = posting(3)
HEADERS = {name: [value] for name, value in POST.fields}
DIGEST = hashlib.sha256(b"yyy").hexdigest()


@pytest.mark.parametrize(
    ("check", "request_", "body", "fault"),
    [
        (checking.bare_line, BARE, b"<b>Got: blah/blah</b>!", ""),
        (checking.bare_line, BARE, b"<b>Got: blah</b>!", "not the bare response"),
        (checking.empty, BARE, b"", ""),
        (checking.empty, BARE, b"x", "a body where none"),
        (checking.echoed, POST, b"yyy", ""),
        (checking.echoed, POST, b"yy", "not the body"),
        (checking.raw, Request("json", (("A", "b"),)), b"GET /anything HTTP/1.1\r\nA: b\r\n\r\n", ""),
        (checking.raw, Request("json", (("A", "b"),)), b"GET /anything HTTP/1.1\r\n\r\n", "does not show"),
        (checking.shown, JSON, b"{", "not JSON"),
        (checking.shown, JSON, json.dumps({"headers": dict(JSON.fields)}).encode(), ""),
        (checking.shown, JSON, json.dumps({"headers": dict(JSON.fields[1:])}).encode(), "does not show"),
        (checking.shown, POST, json.dumps({"headers": HEADERS, "body": {"sha256": DIGEST, "length": 3}}).encode(), ""),
        (
            checking.shown,
            POST,
            json.dumps({"headers": HEADERS, "body": {"sha256": "0", "length": 3}}).encode(),
            "the body",
        ),
        (checking.shown, POST, json.dumps({"headers": HEADERS, "data": "yyy"}).encode(), ""),
        (checking.shown, POST, json.dumps({"headers": HEADERS, "data": "y"}).encode(), "the body"),
    ],
)
def test_an_answer_that_does_not_show_what_was_sent_is_wrong(
    check: checking.Check, request_: Request, body: bytes, fault: str
) -> None:
    """The check returns what is wrong with the response."""
    said = check(request_, body)
    assert fault in said
    assert bool(said) == bool(fault)


def test_nobody_who_answers_is_a_fault() -> None:
    """A missing server is a fault, not an exception that would end the run."""
    assert checking.ask(1, "/", BARE, "kept", checking.empty).startswith("no response: ")


def test_answers_are_asked_for_while_something_lasts() -> None:
    """Each fault is reported as often as it occurred."""
    asked = threading.Event()

    def wrong() -> str:
        asked.set()
        return "wrong"

    with checking.asking(wrong) as faults:
        assert asked.wait(20)
    assert {*faults} == {"wrong"}


@pytest.mark.parametrize(
    ("asked", "names"),
    [("all", [*FIGURES]), ("none", []), ("start p99", ["start", "p99"])],
)
def test_figures_are_chosen_by_name(asked: str, names: list[str]) -> None:
    """Figures are selected by name, or all of them, or none."""
    assert chosen(asked, FIGURES) == names


@pytest.mark.parametrize(("option", "known"), [("--figures", KNOWN), ("--curves", CURVES)])
def test_an_unknown_name_is_told_with_those_that_there_are(option: str, known: Collection[str]) -> None:
    """The error lists the available names, before anything is measured."""
    said: list[str] = []
    assert main([option, "nothing"], {}, said.append) == 2
    assert said == [f"bench: not known: nothing; there are {', '.join(known)}"]


@pytest.mark.parametrize("option", ["--rounds=0", "--seconds=x"])
def test_a_bad_number_is_told(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A malformed number is reported like any invalid option."""
    with pytest.raises(SystemExit):
        main([option], {}, print)
    assert "a number from 1 on is wanted" in capsys.readouterr().err


def test_what_is_missing_is_told_with_what_brings_it() -> None:
    """All missing programs are reported at once."""
    told = missing({"PATH": ""})
    assert "wrk is missing: apt-get install wrk" in told
    assert "h2load is missing: apt-get install nghttp2-client" in told
    assert {"go", "node"} <= {line.split(" ")[0] for line in told}


def test_a_process_that_ends_before_it_answers_is_told_with_what_it_said() -> None:
    """The error with its output is raised at once, not at the deadline."""
    command = ["sh", "-c", "echo no such thing >&2; exit 3"]
    with (
        pytest.raises(processes.ProcessError, match=r"has ended with code 3\nno such thing"),
        processes.started(command, {}, [], lambda: False),
    ):
        pass


def test_nothing_of_a_process_is_left_behind() -> None:
    """Its children are found, too: their CPU and memory are counted, and they are ended."""
    spin = "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done"
    command = ["sh", "-c", f"{spin}; sleep 60 & sleep 60 & wait"]
    with processes.started(command, {}, [], lambda: True) as (process, _):
        wait_until(lambda: len(processes.tree(process.pid)) == 3, "two children")
        wait_until(lambda: processes.cpu_seconds(process.pid) > 0, "CPU is counted")
        family = processes.tree(process.pid)
        assert processes.memory(process.pid) > 0
    assert process.returncode is not None
    assert not any(processes.memory(each) for each in family)
