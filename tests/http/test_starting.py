"""Startup, and the errors that prevent it."""

import errno
import os
import pty
import socket
import subprocess
from pathlib import Path

import pytest

from app import __version__
from app.cli import announcement
from app.config import loader, settings_table
from tests.http.process import DEADLINE, environment, free_ports, running, start
from tools.commands import ROOT


def test_two_lines_say_where_it_listens_and_what_to_try() -> None:
    """Two lines report the addresses and a command to try, which works; nothing else is printed."""
    with running() as echo:
        where, what = echo.announced
        assert where == (
            f"echo {__version__} listens on http://127.0.0.1:{echo.port}"
            f" (for the cluster: http://127.0.0.1:{echo.admin_port}/readyz); Ctrl-C stops it"
        )
        assert what == f"Try: curl http://127.0.0.1:{echo.port}/blah/blah"
        command = what.removeprefix("Try: ").split()
        tried = subprocess.run([*command, "--silent"], capture_output=True, timeout=DEADLINE, check=True)
        assert tried.stdout == b"<b>Got: blah/blah</b>!"


@pytest.mark.parametrize("variable", ["port", "admin_port"])
def test_a_busy_port_is_one_clear_line(variable: str) -> None:
    """If a port is busy, one line names the port and the setting that changes it."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        (other,) = free_ports(1)
        done = start(**{"port": other, "admin_port": other} | {variable: port})
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"echo: port {port} is busy: set ECHO_{variable.upper()} to another one\n"


def test_an_address_that_is_not_ours_is_one_clear_line() -> None:
    """An address that the machine does not have is one line of error: 192.0.2.1 is reserved (RFC 5737)."""
    done = start(host="192.0.2.1")
    assert done.returncode == 1
    assert done.stderr == (
        f"echo: can't listen on 192.0.2.1, port 8080 ({os.strerror(errno.EADDRNOTAVAIL)}): set ECHO_HOST or ECHO_PORT\n"
    )


def test_mistakes_in_the_settings_stop_the_start() -> None:
    """Invalid settings prevent startup; all of them are reported, one per line."""
    done = start(prot=1, workers="many", tls_only="on")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "echo: ECHO_PROT is not a setting; did you mean ECHO_PORT?",
        "echo: ECHO_WORKERS='many': must be a whole number from 1 to 256",
        "echo: ECHO_TLS_CLIENT_CA and ECHO_TLS_ONLY require ECHO_TLS_CERT and ECHO_TLS_KEY",
    ]


def test_help_has_every_setting_and_starts_nothing() -> None:
    """The output of --help lists every setting with its default, and nothing is started."""
    done = start("--help")
    assert done.returncode == 0
    assert settings_table.table() in done.stdout
    assert settings_table.NOTATION in done.stdout


@pytest.mark.parametrize(
    ("host", "shown"),
    [("*", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("10.1.2.3", "10.1.2.3")],  # noqa: S104 - not bound
)
def test_what_is_announced_can_be_typed(host: str, shown: str) -> None:
    """The announced command has an address that can be reached, never a wildcard address."""
    assert f" http://{shown}:8080/blah/blah" in announcement(loader.read_settings({"ECHO_HOST": host}))


def test_every_address_is_listened_on_when_asked() -> None:
    """With ECHO_HOST=*, the echo listens on IPv4, and on IPv6 if available."""
    with running(host="*") as echo:
        assert echo.get("/")[0].status == 200
        if socket.has_dualstack_ipv6():
            with socket.create_connection(("::1", echo.port), timeout=DEADLINE) as sock:
                sock.sendall(b"GET /six HTTP/1.0\r\n\r\n")
                assert b"<b>Got: six</b>!" in sock.recv(65_536)


def test_make_run_ends_well_with_ctrl_c() -> None:
    """At a terminal, Ctrl-C ends `make run` with exit code 0 and no traceback, on the configured ports."""
    make = ROOT / "Makefile"
    assert Path(ROOT / ".venv/installed").exists(), "make test has made it"
    port, admin_port = free_ports(2)
    pid, terminal = pty.fork()
    if pid == 0:  # the child becomes make, at a terminal of its own
        os.chdir(ROOT)
        os.execvpe("make", ["make", "-f", str(make), "run"], environment(port=port, admin_port=admin_port))  # noqa: S606 - make from PATH, as a person
    said = b""
    while b"Try: " not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    try:
        while piece := os.read(terminal, 1024):
            said += piece
    except OSError as error:  # Linux reports the end of a terminal as EIO
        if error.errno != errno.EIO:
            raise
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, said.decode()
    assert b"Traceback" not in said
    assert f"http://127.0.0.1:{port}".encode() in said
