"""Instructions that a request takes, counted by callgrind.

Unlike times, counts do not change on a busy machine. `python -m tools.bench.instructions` compares them with the stored
ones; `--keep` stores the new counts, and `--profile FOLDER` keeps callgrind's output, from which `callgrind_annotate`
lists the calls in which instructions are spent. The kernel's instructions are not counted. A number is valid for one
build of Python: each has counts of its own. https://valgrind.org/docs/manual/cl-manual.html
"""

import argparse
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Final

import msgspec

from tools.bench.results import Instructions
from tools.commands import ROOT

KEPT: Final = Path(__file__).with_suffix(".json")
MOST: Final = 1.05  # times the stored count: up to this it is not an increase
# Requests before the count, which trigger one-time work, and requests that are counted: with this many, a second run
# counts the same within 0.1 % (0.4 % if addresses can't be fixed).
_BEFORE: Final = 100
_COUNTED: Final = 400
_COUNTED_MODULE: Final = "tools.bench.counted"
_DEADLINE: Final = 180.0  # seconds for all of it, which takes some 20

# A browser's request behind a proxy.
_BROWSER: Final = (
    b"Host: echo.example\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: application/json\r\n"
    b"Accept-Language: en-GB,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Referer: http://echo.example/\r\n"
    b"Cookie: session=0123456789abcdef; theme=dark\r\n"
    b"Cache-Control: no-cache\r\n"
    b"X-Forwarded-For: 192.0.2.7\r\n"
    b"X-Forwarded-Host: echo.example\r\n"
    b"X-Forwarded-Proto: https\r\n"
    b"X-Request-Id: 0123456789abcdef0123456789abcdef\r\n"
)
_BODY: Final = b'{"text": "%s"}' % (b"a" * 1012)
# Each request with the beginning of its response body.
REQUESTS: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "GET, bare": (b"GET /blah/blah HTTP/1.1\r\nHost: echo.example\r\n\r\n", b"<b>Got: blah/blah</b>!"),
    "GET, JSON, 12 headers": (
        b"GET /blah/blah?a=1&b=2 HTTP/1.1\r\n" + _BROWSER + b"\r\n",
        b'{\n  "path": "/blah/blah?a=1&b=2"',
    ),
    "POST, JSON, 1 KiB": (
        b"POST /blah/blah HTTP/1.1\r\nHost: echo.example\r\nAccept: application/json\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY,
        b'{\n  "path": "/blah/blah"',
    ),
}


class UncountableError(Exception):
    """Nothing can be counted here; the message says why."""


def build() -> str:
    """Return the name of this build of Python, for which a count is valid."""
    version = ".".join(platform.python_version_tuple()[:2])
    return f"{platform.python_implementation()} {version}, {platform.machine()}, {platform.python_compiler()}"


def measured(profile: Path | None = None) -> tuple[Instructions, ...]:
    """Count, and return the counts beside the stored ones for this build of Python.

    `profile` is a folder for callgrind's output. Raise `UncountableError` if nothing can be counted.
    """
    before = kept().get(build(), {})
    return tuple(Instructions(name, before.get(name), now) for name, now in counted(profile).items())


def risen(count: Instructions) -> bool:
    """Return whether a request takes noticeably more instructions than the stored count."""
    return count.kept is not None and count.now > count.kept * MOST


def counted(profile: Path | None = None) -> dict[str, int]:
    """Return the number of instructions of each request, as `measured` describes."""
    if not shutil.which("valgrind"):
        raise UncountableError("valgrind is not here (apt-get install valgrind)")
    with tempfile.TemporaryDirectory() as folder:
        written = Path(profile or folder) / "callgrind.out"
        written.parent.mkdir(parents=True, exist_ok=True)
        with _serving(written) as process:
            _ask_all(process)
        # A dump at a mark covers what happened since the previous mark, and every other mark only ends a part that is
        # not counted.
        return {
            name: _total(written.with_suffix(f".out.{2 * number}")) // _COUNTED
            for number, name in enumerate(REQUESTS, 1)
        }


@contextmanager
def _serving(written: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serve echo under callgrind until the context exits."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={written}", "--dump-before=getloadavg"]
    # Otherwise the order of sets, and so the work done, differs between processes.
    environ = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
    # Compile first, because compiling in the counted process leaves its memory in another order: a difference of 1 %.
    subprocess.run([sys.executable, "-c", f"import {_COUNTED_MODULE}"], cwd=ROOT, env=environ, check=True)
    with subprocess.Popen(
        [*_fixed(), *command, sys.executable, "-m", _COUNTED_MODULE],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        too_late = Timer(_DEADLINE, process.kill)
        too_late.start()
        try:
            yield process
            _, said = process.communicate()
        except BaseException:
            process.kill()
            raise
        finally:
            too_late.cancel()
    if process.returncode:
        raise UncountableError(f"valgrind ended with {process.returncode}: {said.decode(errors='replace')}")


def _fixed() -> list[str]:
    """Return the command prefix that gives a program the same addresses in each run, if that is allowed.

    Addresses decide which entries collide in Python's caches, which is some 0.5 % of the count.
    """
    fixed = ["setarch", "--addr-no-randomize"]
    if not shutil.which(fixed[0]):
        return []
    return [] if subprocess.run([*fixed, "true"], capture_output=True, check=False).returncode else fixed


def _ask_all(process: subprocess.Popen[bytes]) -> None:
    """Send all requests, with a mark before and after each counted part."""
    with socket.create_connection(("127.0.0.1", int(_line(process))), timeout=_DEADLINE) as client:
        for request, beginning in REQUESTS.values():
            for times in (_BEFORE, _COUNTED):
                for _ in range(times):
                    _ask(client, request, beginning)
                assert process.stdin is not None
                process.stdin.write(b"\n")
                process.stdin.flush()
                _line(process)


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.kill()
        said = process.communicate()[1].decode(errors="replace")
        raise UncountableError(f"what is counted has ended, or took too long: {said}")
    return line


def _ask(client: socket.socket, request: bytes, beginning: bytes) -> None:
    """Send one request, and check the response."""
    client.sendall(request)
    answer, length = b"", None
    while length is None or len(answer) < length:
        came = client.recv(65_536)
        if not came:
            raise UncountableError(f"the connection ended within a response: {answer!r}")
        answer += came
        head, whole, body = answer.partition(b"\r\n\r\n")
        if whole and (found := re.search(rb"(?i)\r\ncontent-length: (\d+)(?:\r\n|$)", head)):
            length = len(head) + len(whole) + int(found[1])
    if not answer.startswith(b"HTTP/1.1 200 ") or not body.startswith(beginning):
        raise UncountableError(f"unexpected response: {answer!r}")


def _total(written: Path) -> int:
    found = re.search(r"^totals: (\d+)$", written.read_text(), re.MULTILINE)
    assert found, f"{written} has no total"
    return int(found[1])


def kept() -> dict[str, dict[str, int]]:
    """Return the stored counts, by build of Python, then by request."""
    return msgspec.json.decode(KEPT.read_bytes(), type=dict[str, dict[str, int]])


def keep(counts: Sequence[Instructions]) -> None:
    """Store the counts for this build of Python."""
    all_kept = kept() | {build(): {each.request: each.now for each in counts}}
    KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(dict(sorted(all_kept.items()))), indent=2) + b"\n")


def shown(counts: Sequence[Instructions]) -> str:
    """Return the counts as lines for a terminal; increases are red."""
    lines = []
    for each in counts:
        against = f"{each.kept:>9,} kept, {each.now / each.kept - 1:+.1%}" if each.kept else "none kept"
        line = f"{each.request:24}{each.now:>9,} instructions; {against}"
        lines.append(f"\033[31m{line}\033[0m" if risen(each) else line)
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Count and print the result. Return the exit code, which is 1 if a count has increased."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.instructions", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep what is counted")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="leave what callgrind writes there")
    asked = parser.parse_args(argv)
    try:
        counts = measured(asked.profile)
    except UncountableError as error:
        print(error, file=sys.stderr)  # noqa: T201 - it speaks to a person
        return 1
    print(shown(counts))  # noqa: T201 - it speaks to a person
    if asked.keep:
        keep(counts)
        return 0
    return int(any(risen(each) for each in counts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
