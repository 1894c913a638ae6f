"""The admin port, rejections and process output leak no secrets.

Neither a client's secrets nor the environment's values are shown.
"""

import json
import re
import socket
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Container
from itertools import product
from signal import SIGTERM

import pytest

from app.config import loader
from app.config.policy import PARSERS
from app.config.settings import SettingsError
from tests.http.process import DEADLINE, read_to_end, running

SECRET = "c2VjcmV0LXdvcmQ"  # noqa: S105 - of nobody
PATH = "a-path-of-somebody"
ENVIRONMENT = ("AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "GITHUB_TOKEN", "HOME", "KUBECONFIG", "POD_SECRET", "X_ECHO")
PATHS = (
    "/", "/livez", "/readyz", "/version", "/openapi.json", "/metrics", "/env", "/environ", "/debug/pprof/", "/config",
    "/actuator/env", "/server-status", "/.env", "/proc/self/environ", "/..%2f..%2fproc/self/environ", "/livez/",
    "//livez", f"/{SECRET}", f"/livez?token={SECRET}", f"/readyz/{SECRET}?{SECRET}", "/%00", "/\\..\\",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
FIELDS = (
    ("Authorization", f"Bearer {SECRET}"), ("Authorization", f"Basic {SECRET}"), ("Cookie", f"session={SECRET}"),
    ("Proxy-Authorization", SECRET), ("X-Api-Key", SECRET), ("X-Request-Id", SECRET), ("Accept", SECRET),
    ("traceparent", SECRET), ("X-Forwarded-For", SECRET), ("Referer", f"http://a/?token={SECRET}"), ("Origin", SECRET),
    ("X-Echo-Body", SECRET), ("X-Echo-Header", f"X-A: {SECRET}"), ("Range", SECRET),
)  # fmt: skip
# Headers that the access log shows on purpose.
LOGGED = ("X-Request-Id", "X-Echo-Body", "X-Echo-Header")
# Malformed requests with a secret in the head, a folded or split header, an oversized head, or a trailer.
MALFORMED = (
    f"GET /\r\nHost: a\r\nAuthorization: {SECRET}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {SECRET}\x01\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization : Basic {SECRET}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic\r\n {SECRET}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1;\r\n{SECRET}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1;\r{SECRET}\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: a\r\nCookie: {SECRET}\n\r\n",
    f"GET / HTTP/1.1\r\nHost: a\r\nCookie: {SECRET * 10_000}\r\n\r\n",
    f"GET / HTTP/1.1\r\nCookie: {SECRET}\r\n\r\n",
    f"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: {SECRET}\x00\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: {SECRET}\r\n\r\n",
)


@pytest.fixture(scope="module")
def come(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, str]:
    """Return what an echo surrounded by secrets sent: admin responses, rejections, and process output."""
    keys = tmp_path_factory.mktemp(SECRET) / "keys.json"
    key = {"kty": "oct", "k": urlsafe_b64encode(SECRET.encode() * 4).decode(), "alg": "HS256"}
    keys.write_text(json.dumps({"keys": [key]}))
    with pytest.MonkeyPatch.context() as patch:
        for name in ENVIRONMENT:
            patch.setenv(name, SECRET)
        with running(jwks=keys, redact_responses="on", seed=SECRET, access_log="json") as echo:
            refused = b"".join(asked(echo.port, each) for each in MALFORMED)
            for query in ("", "?echo_format=json", "?echo_status=x", "?echo_format=whoami", "?echo_header=A:%ff"):
                line = f"GET /{PATH}{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                asked(echo.port, f"{line}{field_lines(but=LOGGED)}\r\n")
            admin = b"".join(asked(echo.admin_port, each) for each in (every_request(), *MALFORMED))
            echo.end(SIGTERM)
            assert echo.process.stdout is not None
            said = "".join((*echo.announced, echo.process.stdout.read().decode(), echo.errors()))
    return admin, refused, said


def field_lines(but: Container[str] = ()) -> str:
    """Return header lines with a secret in each."""
    return "".join(f"{name}: {value}\r\n" for name, value in FIELDS if name not in but)


def every_request() -> str:
    """Return requests for every path with every method, on one connection."""
    lines = (f"{method} {path} HTTP/1.1\r\nHost: a\r\n" for method, path in product(METHODS, PATHS))
    body = f"Content-Length: {len(SECRET)}\r\n\r\n{SECRET}"
    requests = (f"{line}{field_lines()}{body}" for line in lines)
    return "".join((*requests, "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))


def asked(port: int, request: str) -> bytes:
    """Send bytes to a port; return everything received until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
        sock.sendall(request.encode("latin-1"))
        return read_to_end(sock)


def test_the_admin_port_shows_no_secret(come: tuple[bytes, bytes, str]) -> None:
    """The admin port shows no secret of a client or of the environment, for any path, method or malformed request."""
    answers = come[0]
    statuses = Counter(re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answers))
    assert sum(statuses.values()) == len(METHODS) * len(PATHS) + 1 + len(MALFORMED)
    assert set(statuses) == {b"200", b"400", b"404", b"431"}
    assert SECRET.encode() not in answers
    assert PATH.encode() not in answers
    for name in ENVIRONMENT:
        assert name == "HOME" or name.encode() not in answers


def test_no_refusal_shows_a_hidden_field(come: tuple[bytes, bytes, str]) -> None:
    """ECHO_REDACT_RESPONSES also applies to the rejection of malformed requests."""
    assert come[1].count(b"HTTP/1.1 4") == len(MALFORMED)
    assert SECRET.encode() not in come[1]


def test_the_process_says_nothing_of_a_client(come: tuple[bytes, bytes, str]) -> None:
    """Both stdout and stderr contain the listening addresses and the logged request targets, but no secret."""
    assert SECRET not in come[2]
    assert come[2].startswith("echo ")
    assert come[2].count(f'"/{PATH}') == 5


@pytest.mark.parametrize("setting", ["jwks", "tls_key"])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"keys": [{"kty": "oct", "k": SECRET}]}),
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n",
        f"\n{SECRET}",
    ],
)
def test_a_secret_in_the_place_of_its_files_name_is_not_said(setting: str, content: str) -> None:
    """If a setting holds a secret instead of a path, the startup error, which ends up in logs, does not show it."""
    with pytest.raises(SettingsError, match=f"^ECHO_{setting.upper()} must be the path of a file") as refusal:
        loader.read_settings({f"ECHO_{setting.upper()}": content}, PARSERS)
    assert SECRET not in "".join(refusal.value.args)
