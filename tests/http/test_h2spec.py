"""h2spec, the conformance test of HTTP/2, against a running echo."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.http.process import DEADLINE
from tests.http.programs import Secure, missing, running_with_tls
from tools.toolchain.__main__ import TOOLS, ToolError, find

CASES = 146  # cases of the pinned version, including the strict ones
# A port for both protocols parses input without HTTP/2's preface as an HTTP/1.1 request (RFC 9113, 3.3), and responds
# to it. h2spec expects the connection to be closed, and reports the response that arrives first.
ANSWERED_BY_HTTP_1 = "http2/3.5 Sends invalid connection preface"


@pytest.fixture(scope="module")
def h2spec() -> Path:
    """Return the path in the variable H2SPEC, else that of a suitable h2spec, built if necessary."""
    given = os.environ.get("H2SPEC")
    if given:
        return Path(given)
    try:
        return find(TOOLS["h2spec"], os.environ)
    except ToolError as error:
        missing(str(error))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Yield an echo that also speaks TLS."""
    with running_with_tls(tmp_path_factory.mktemp("h2spec")) as secure:
        yield secure


def failures(h2spec: Path, port: int, report: Path, *arguments: str) -> dict[str, str]:
    """Run every case against a port; return the failures by the section and the sentence of the case."""
    where = ("--host", "127.0.0.1", "--port", str(port))
    command = (str(h2spec), "--strict", *where, "--junit-report", str(report), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert report.exists(), f"{done.stdout}{done.stderr}"
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - a report of our own run
    assert len(cases) == CASES, f"{done.stdout}{done.stderr}"
    return {
        f"{case.get('package')} {case.get('classname')}": ": ".join(f"{what.tag} {what.text}" for what in case)
        for case in cases
        if len(case)
    }


def test_http_2_over_tls_is_what_the_rfcs_ask_for(h2spec: Path, secure: Secure, tmp_path: Path) -> None:
    """Over TLS, every case of h2spec passes: frames, streams, flow control, header compression."""
    assert failures(h2spec, secure.echo.port, tmp_path / "report.xml", "--tls", "--insecure") == {}


def test_http_2_in_clear_differs_where_the_port_speaks_http_1_too(h2spec: Path, secure: Secure, tmp_path: Path) -> None:
    """Unencrypted, only the invalid preface differs: it gets 400 over HTTP/1.1, and the connection is closed."""
    found = failures(h2spec, secure.echo.port, tmp_path / "report.xml")
    assert found.keys() == {ANSWERED_BY_HTTP_1}, found
    assert "looked like an HTTP/1.1 header" in found[ANSWERED_BY_HTTP_1]
    assert secure.echo.exchange(b"INVALID CONNECTION PREFACE\r\n\r\n").startswith(b"HTTP/1.1 400 ")
