"""The page's curl command reproduces the original request."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from app.config import downward_api
from app.config.policy import Policy
from app.config.settings import DEFAULT_MAX_DECODED
from app.echo.context import Context
from app.echo.formats.html.curl import curl_command
from app.http.body import BodyReader, parse_content_headers
from app.http.connection_info import Endpoint
from app.http.request import ConnectionInfo, HeaderList, HttpRequest
from app.http.tls_info import TlsInfo
from tests import requests
from tests.http.process import DEADLINE, Echo
from tests.http.programs import Secure, program, running_with_tls

HOST = (b"Host", b"shop.example:8443")
ACCEPT = (b"aCCept", b"text/plain")  # the echo responds with the request, byte for byte
AGENT = (b"User-Agent", b"a 'browser'")
PLAIN = ConnectionInfo(Endpoint("192.0.2.1", 1234), Endpoint("127.0.0.1", 8080))


class Shell:
    """Runs commands with a curl configuration that connects every host name to an echo."""

    def __init__(self, folder: Path, port: int, *more: str) -> None:
        program("curl")
        self._folder = folder
        lines = ("silent", "show-error", 'noproxy = "*"', f'connect-to = "::127.0.0.1:{port}"', *more)
        (folder / ".curlrc").write_text("\n".join(lines))

    def __call__(self, command: str, *, interactive: bool = False) -> bytes:
        """Return a command's output; as a file or on stdin, it may be longer than an argument."""
        script = self._folder / "script"
        script.write_text(command)
        with script.open("rb") as typed:
            done = subprocess.run(
                ["bash", "--norc", "--noprofile", "-i"] if interactive else ["sh", script],
                cwd=self._folder,
                env={"PATH": "/usr/bin:/bin", "CURL_HOME": str(self._folder), "HISTFILE": "", "LC_ALL": "C.UTF-8"},
                stdin=typed if interactive else subprocess.DEVNULL,
                capture_output=True,
                timeout=DEADLINE,
                check=False,
                start_new_session=True,  # an interactive shell would take over the terminal
            )
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def shell(echo: Echo, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a shell whose curl connects to the echo."""
    return Shell(tmp_path_factory.mktemp("curl"), echo.port)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Yield an echo with TLS."""
    with running_with_tls(tmp_path_factory.mktemp("tls")) as secure:
        yield secure


def command_for(request: HttpRequest, raw: bytes = b"", connection: ConnectionInfo = PLAIN) -> str:
    """Return the curl command for a request with this body."""
    meter = BodyReader(parse_content_headers(request.headers), DEFAULT_MAX_DECODED)
    meter.add_piece(raw)
    while meter.has_work:
        meter.step()
    body = meter.finish(chunked=(b"Transfer-Encoding", b"chunked") in request.headers)
    policy = Policy(downward_api.read_pod_info({}))
    return curl_command(Context(structs.replace(request, body=body), connection, policy, "id", 0.0)).text


def arrived(wire: bytes) -> tuple[bytes, HeaderList, bytes]:
    """Return the first line, the headers except Host, and the body of the request that the echo received."""
    head, _, body = wire.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    fields = tuple((name, value.lstrip()) for name, _, value in (each.partition(b":") for each in lines))
    return line, tuple(field for field in fields if field[0].lower() != b"host"), body


def came_again(shell: Shell, request: HttpRequest, raw: bytes = b"", *, interactive: bool = False) -> None:
    """Run the command for a request, and compare; curl sends a Content-Length of its own."""
    line, fields, body = arrived(shell(command_for(request, raw), interactive=interactive))
    assert line == request.method + b" " + request.target + b" " + request.version.encode()
    sent = tuple(field for field in fields if field[0] not in {b"Content-Length", b"Connection"})
    assert sent == tuple(field for field in request.headers if field[0] not in {b"Host", b"Content-Length"})
    assert body == raw


def get(target: bytes = b"/a", *fields: tuple[bytes, bytes], method: bytes = b"GET") -> HttpRequest:
    """Return a request."""
    return HttpRequest(method, target, "HTTP/1.1", (HOST, ACCEPT, AGENT, *fields))


BODIES = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            ["'", '"', "\\", "$(id)", "`id`", "%s", "!", "@/etc/passwd", "\r\n", "\n", "\t", "\0", "ü", "-n"]
        )
    ).map(lambda parts: "".join(parts).encode()),
)


@settings(max_examples=40)
@given(
    st.sampled_from([b"GET", b"POST", b"PUT", b"it's!", b"DELETE", b"$PATH"]),
    requests.TARGET,
    requests.FIELDS,
    BODIES,
)
def test_the_same_arrives_again(shell: Shell, method: bytes, target: bytes, fields: HeaderList, raw: bytes) -> None:
    """The command reproduces method, target, headers with order and case, and body, byte for byte."""
    length = ((b"Content-Length", b"%d" % len(raw)),) if raw else ()
    came_again(shell, get(target, *fields, *length, method=method), raw)


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"//",
        b"/./../%2e%2e/a",
        b"/a?b?c",
        b"/?",
        b"/[1-3]{a,b}",
        b"/%zz%c3",
        b"*",
        b"a.test:443",
        b"http://b/c?d",
    ],
)
def test_a_target_is_kept(shell: Shell, target: bytes) -> None:
    """A target is kept in all of its forms, with dots, brackets, and characters that curl would rewrite."""
    came_again(shell, get(target))


@pytest.mark.parametrize(
    "raw", [b"", b"a" * 65_536, b"\xff" * 65_536, b"\r\n" * 32_768], ids=["no", "text", "bin", "crlf"]
)
@pytest.mark.parametrize("coding", [True, False], ids=["chunked", "length"])
def test_a_body_is_kept(shell: Shell, raw: bytes, *, coding: bool) -> None:
    """A body up to the page's maximum is kept, with a length or chunked, even if it is empty."""
    field = (b"Transfer-Encoding", b"chunked") if coding else (b"Content-Length", b"%d" % len(raw))
    came_again(shell, get(b"/a", (b"Content-Type", b"a/b"), field, method=b"POST"), raw)


@pytest.mark.parametrize("raw", [b"!a !! $(id)", b"a\n!b '!c' \"!d\"\n", b"!\r\n!", b"a\n'\nb"])
def test_an_interactive_shell_takes_all_for_data(shell: Shell, raw: bytes) -> None:
    """An interactive Bash expands no `!`, for which it searches its history, line by line and in double quotes."""
    field = (b"X-A", raw.split(b"\n")[0].strip() + b'\xe9!e "!f"')
    more = ((b"Content-Type", b"a/b"), (b"Content-Length", b"%d" % len(raw)))
    came_again(
        shell, get(b"/!a'\"!b\xe9!", field, (b"X-B", b"!a '!b' \"!c\""), *more, method=b"A!"), raw, interactive=True
    )


@pytest.mark.parametrize("host", [b"a", b"A.test", b"a:80", b"127.1", b"[::1]:1", b"a_b.test.", b"0x7f", b"xn--a"])
def test_host_is_kept(shell: Shell, host: bytes) -> None:
    """Host is kept, even if curl would normalize it."""
    wire = shell(command_for(structs.replace(get(), headers=((b"Host", host), ACCEPT, AGENT))))
    assert re.findall(rb"(?mi)^host: (.*)\r$", wire) == [host]


def test_http_1_0_needs_no_host(shell: Shell) -> None:
    """An HTTP/1.0 request without Host is sent without one."""
    wire = shell(command_for(structs.replace(get(), version="HTTP/1.0", headers=(ACCEPT, AGENT))))
    assert wire == b"GET /a HTTP/1.0\r\naCCept: text/plain\r\nUser-Agent: a 'browser'\r\n\r\n"


def test_head_is_head(shell: Shell) -> None:
    """HEAD has no body in its response, and the command does not wait for one."""
    assert b"200" in shell(command_for(get(method=b"HEAD")))


@pytest.mark.parametrize("tls", [None, TlsInfo("TLSv1.3", "shop.example", "")], ids=["cleartext", "TLS"])
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2.0"])
def test_the_version_is_kept(echo: Echo, secure: Secure, tmp_path: Path, version: str, tls: TlsInfo | None) -> None:
    """The HTTP version is kept, with and without TLS."""
    port = secure.echo.port if tls else echo.port
    run = Shell(tmp_path, port, f'cacert = "{secure.authority}"')
    fields = ((b"accept", b"text/plain"), (b"user-agent", b"a"), (b"x-a", b"b"))
    if version == "HTTP/2.0":
        request = HttpRequest(b"GET", b"/a?b", version, fields, pseudo=((b":path", b"/a?b"),), authority=b"localhost:1")
        start = b":method: GET\r\n:path: /a?b\r\n:scheme: "
    else:
        request = HttpRequest(b"GET", b"/a?b", version, ((b"Host", b"localhost:1"), *fields))
        start = b"GET /a?b HTTP/1.1\r\n"
    wire = run(command_for(request, connection=structs.replace(PLAIN, tls=tls)))
    assert wire.startswith(start)
    assert wire.endswith(b"accept: text/plain\r\nuser-agent: a\r\nx-a: b\r\n\r\n")
    assert b"localhost:1\r\n" in wire
