"""The health check: its reading of each possible response.

A test in tests/image sends it to a real echo.
"""

import socket
import sys
from threading import Thread

import pytest

from app import healthcheck
from tools.commands import run

ANSWERS = {
    "ready": (b'HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{"status":"ready"}\n', 0, ""),
    "draining": (
        b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"status":"draining"}\n',
        1,
        'not ready: 503 {"status":"draining"}\n',
    ),
    "no answer": (b"", 1, "not ready: the response is not HTTP\n"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", 1, "not ready: the response is not HTTP\n"),
    "no status": (b"HTTP/1.1\r\n\r\n", 1, "not ready: the response is not HTTP\n"),
}


@pytest.mark.parametrize(("answer", "code", "told"), ANSWERS.values(), ids=ANSWERS.keys())
def test_each_answer_is_understood(capsys: pytest.CaptureFixture[str], answer: bytes, code: int, told: str) -> None:
    """Only a 200 is ready; anything else is reported in one line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        asked: list[bytes] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(1000))
                connection.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        assert healthcheck.main({"ECHO_ADMIN_PORT": str(listener.getsockname()[1])}) == code
        thread.join(10)
    assert asked == [b"GET /readyz HTTP/1.0\r\n\r\n"]
    assert capsys.readouterr().err == told


def test_it_imports_little() -> None:
    """The health check imports neither TLS, nor mail, nor the service.

    It runs every ten seconds, and its imports are most of its cost.
    """
    code = "import sys, app.healthcheck; print(*sys.modules)"
    there = set(run(sys.executable, "-c", code).split())
    assert there.isdisjoint(
        {"ssl", "http.client", "asyncio", "gunicorn", "bottle", "app.http.body", "app.server", "app.bootstrap"}
    )
