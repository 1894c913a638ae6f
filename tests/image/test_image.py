"""The image as people build and run it.

Tested are its contents, its start and stop, and the restrictions under which it works.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import __version__
from tests.e2e.supply import BASE_IMAGE, OTHER_BASE_IMAGE, Supply
from tests.http.process import ask, read_lines
from tools.commands import ROOT, CommandError, Say, run
from tools.supply import sbom
from tools.supply.locks import read

EXERCISE = "ex02-echoserver:0.0.1"
IMPORTS = Path(__file__).with_name("imports.py")
MOST_BYTES = 8_000_000  # that the image adds to its base
# As a careful deployment runs it, and by a user that is not in the image.
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=12345:0")


@dataclass(frozen=True)
class Container:
    """A running container and its published ports on this machine."""

    name: str
    port: int
    admin_port: int


def docker(*arguments: str, deadline: float = 60) -> str:
    """Run docker; return its output."""
    return run("docker", *arguments, deadline=deadline)


def get(port: int, path: str) -> tuple[int, bytes]:
    """Send a request to a published port; return status and body."""
    answer, body = ask(port, path)
    return answer.status, body


@contextmanager
def started(image: str, *arguments: str) -> Iterator[Container]:
    """Run a container with ports chosen by the machine; print its log if the test fails."""
    published = ("--publish=127.0.0.1::8080", "--publish=127.0.0.1::9090")
    name = docker("run", "--detach", *published, *arguments, image).strip()
    try:
        with subprocess.Popen(["docker", "logs", "--follow", name], stdout=subprocess.PIPE, bufsize=0) as log:
            assert log.stdout is not None
            read_lines(log.stdout, 2)  # the addresses it listens on, and what to try
            log.terminate()
        port, admin_port = (int(docker("port", name, inside).strip().rpartition(":")[2]) for inside in ("8080", "9090"))
        yield Container(name, port, admin_port)
    except BaseException:
        print(docker("logs", name))  # noqa: T201 - pytest shows it
        raise
    finally:
        docker("rm", "--force", name)


def layers(image: str) -> list[str]:
    """Return the digests of an image's layers, the base's first."""
    found: list[str] = json.loads(docker("image", "inspect", "--format={{json .RootFS.Layers}}", image))
    return found


@pytest.fixture(scope="module")
def any_base(base: str, image: str, say: Say) -> Iterator[str]:
    """Yield our image on a base; `base` is each that is available, see `conftest.py`."""
    if base == BASE_IMAGE:
        yield image
        return
    other = f"echo:{__version__}-{base.partition(':')[2]}"
    say(f"docker build --build-arg base_image={base}")
    docker("build", "--tag", other, "--build-arg", f"base_image={base}", ".", deadline=600)
    try:
        yield other
    finally:
        docker("image", "rm", other)


def test_the_bases_are_those_that_the_dockerfile_names() -> None:
    """The tests use the bases that people get."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"\nARG base_image={BASE_IMAGE}\n" in dockerfile
    assert f"--build-arg base_image={OTHER_BASE_IMAGE} ." in dockerfile


def test_it_works_with_everything_taken_away(any_base: str) -> None:
    """It is read-only, has no capabilities, and runs as an unknown user; its own health check reports it ready."""
    with started(any_base, *HARDENED) as container:
        assert get(container.port, "/blah/blah") == (200, b"<b>Got: blah/blah</b>!")
        assert get(container.admin_port, "/version") == (
            200,
            json.dumps({"version": __version__}, separators=(",", ":")).encode() + b"\n",
        )
        docker("exec", container.name, "python3", "-m", "app.healthcheck")


def test_as_process_1_it_stops_within_the_drain_time(any_base: str) -> None:
    """SIGTERM leads to exit code 0, long before Docker would kill it."""
    with started(any_base, "--env=ECHO_DRAIN_SECONDS=5") as container:
        docker("stop", "--time=5", container.name)
        state = json.loads(docker("inspect", "--format={{json .State}}", container.name))
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False)


def test_the_health_check_finds_out_when_it_is_not_ready(image: str) -> None:
    """On a port without a listener it prints one line with the reason, and exits with code 1."""
    with pytest.raises(CommandError, match=r"exit code 1\nnot ready: .*refused"):
        docker("run", "--rm", image, "-m", "app.healthcheck")


def test_the_engine_knows_how_to_ask_for_health(image: str) -> None:
    """The health check needs no shell and no curl; and the container becomes healthy."""
    check = json.loads(docker("image", "inspect", "--format={{json .Config.Healthcheck}}", image))
    assert check["Test"] == ["CMD", "python3", "-m", "app.healthcheck"]
    with started(image, "--health-interval=1s") as container:
        events = ["docker", "events", "--filter", f"container={container.name}", "--filter", "event=health_status"]
        with subprocess.Popen([*events, "--since=1m"], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.terminate()
        assert "health_status: healthy" in line


def test_the_labels_say_what_it_is(image: str) -> None:
    """The labels state author, version, revision and base."""
    labels = json.loads(docker("image", "inspect", "--format={{json .Config.Labels}}", image))
    repository = "https://gitlab.com/ska-telescope/sdi/ska-ser-containerisation-and-orchestration"
    opencontainers = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in labels.items()
        if "opencontainers" in name
    }
    own = {name: value for name, value in labels.items() if name == "author" or name.startswith("int.skao.")}
    assert own == {
        "author": "Systems Team",
        "int.skao.team": "Systems Team",
        "int.skao.repository": repository,
        "int.skao.website": repository,
    }
    assert labels["license"] == "Apache2.0"
    assert labels["description"]
    assert opencontainers["version"] == __version__
    assert opencontainers["revision"] == run("git", "rev-parse", "HEAD").strip()
    assert opencontainers["created"].endswith("Z")
    name, _, digest = opencontainers["base.name"].partition("@")
    assert name == BASE_IMAGE
    # A stand-in's tag has no digest of a registry.
    assert opencontainers["base.digest"] == (digest or "unknown")
    assert opencontainers["licenses"] == "Apache-2.0"
    assert opencontainers["title"] == "echo"
    assert opencontainers["source"] == repository
    assert opencontainers["description"]


def test_what_runs_is_declared(image: str) -> None:
    """User by number, ports, entry point and command are declared."""
    found = json.loads(docker("image", "inspect", "--format={{json .Config}}", image))
    assert found["User"] == "10001:10001"
    assert set(found["ExposedPorts"]) == {"8080/tcp", "9090/tcp"}
    assert (found["Entrypoint"], found["Cmd"], found["WorkingDir"]) == (["python3"], ["-m", "app"], "/app")
    assert "PYTHONUNBUFFERED=1" in found["Env"]


_INSIDE = """
import importlib.util, json, os, pathlib, pwd, shutil
packages = pathlib.Path("/packages")
files = [path for root in ("/packages", "/app") for path in pathlib.Path(root).rglob("*")]
def flags(path):  # of bytecode: 1 is a hash that is not checked (PEP 552)
    return int.from_bytes(path.read_bytes()[4:8], "little")
print(json.dumps({
    "user": pwd.getpwuid(os.getuid()).pw_name,
    "packages": sorted(path.name.partition("-")[0] for path in packages.glob("*.dist-info")),
    "app": sorted(os.listdir("/app")),
    "there": [name for name in ("gcc", "cc", "strip", "make") if shutil.which(name)],
    "importable": [name for name in ("kubernetes", "pytest", "tests") if importlib.util.find_spec(name)],
    "writable": [str(path) for path in packages.rglob("*") if os.access(path, os.W_OK)],
    "not compiled": [str(path) for path in files if path.suffix == ".py"],
    "compiled for a time": [str(path) for path in files if path.suffix == ".pyc" and flags(path) != 1],
}))
"""


def test_only_what_the_service_imports_is_in_it(image: str) -> None:
    """It has no compiler, no tests, no Kubernetes client; it is compiled already, and not writable."""
    assert json.loads(docker("run", "--rm", image, "-c", _INSIDE)) == {
        "user": "app",
        "packages": [
            "backports_zstd", "bottle", "brotli", "gunicorn", "hpack", "msgspec", "multipart", "prometheus_client",
            "protobuf", "pyyaml", "uvloop", "websockets",
        ],
        "app": ["app"],
        "there": [],
        "importable": [],
        "writable": [],
        "not compiled": [],
        "compiled for a time": [],
    }  # fmt: skip


# Omitted modules that are imported by included ones: for settings of gunicorn that we don't use; for type checkers; and
# by `yaml`, for which they are optional.
_LEFT_OUT = {
    "gunicorn.ctl.server": ["gunicorn.arbiter"],
    "gunicorn.dirty": ["gunicorn.arbiter"],
    "gunicorn.dirty.pidfile": ["gunicorn.arbiter"],
    "gunicorn.http2": ["gunicorn.config", "gunicorn.sock"],
    "gunicorn.http2.connection": ["gunicorn.http"],
    "gunicorn.uwsgi.parser": ["gunicorn.http"],
    "websockets.asyncio.client": ["websockets"],
    "websockets.asyncio.router": ["websockets"],
    "websockets.asyncio.server": ["websockets"],
    "yaml.cyaml": ["yaml"],
}


def test_nothing_is_missing_that_is_imported(image: str) -> None:
    """Each module can be imported; and none imports an omitted module, not even later and within a function."""
    found = json.loads(docker("run", "--rm", image, "-c", IMPORTS.read_text()))
    assert found["modules"] > 200
    assert found["broken"] == {}
    assert found["missing"] == _LEFT_OUT


_COMPILED = """
import sys
before = set(sys.modules)
import app.cli, app.healthcheck, gunicorn.glogging
new = {name: getattr(sys.modules[name], "__file__", None) or "" for name in sys.modules.keys() - before}
print(*(name for name, file in new.items() if file.endswith(".py")))
"""
# Compiled into Python itself, though they have a file. https://docs.python.org/3/using/cmdline.html#cmdoption-X
_FROZEN = {"collections.abc", "importlib.machinery", "importlib.util", "ntpath"}


def test_nothing_is_compiled_at_a_start(image: str) -> None:
    """Python's library is not, either: its bytecode, which the public base lacks, is hidden from this start."""
    where = ("--env=PYTHONPYCACHEPREFIX=/nowhere", "--entrypoint=python3")
    assert set(docker("run", "--rm", *where, image, "-c", _COMPILED).split()) <= _FROZEN


def test_it_adds_little_to_its_base(image: str, supplied: Supply) -> None:
    """The engine counts the bytes of the files that are ours."""
    ours, base = (int(docker("image", "inspect", "--format={{.Size}}", each)) for each in (image, supplied.base_image))
    assert 0 < ours - base <= MOST_BYTES


def test_its_bill_of_materials_names_all_that_is_in_it(image: str) -> None:
    """Every Python and Debian package is in it, the service's with licence and hashes; it is the same each time."""
    text = sbom.of_image(image)
    bill = json.loads(text)
    parts = {each.get("purl", each["name"]).partition("@")[0]: each for each in bill["components"]}
    locked = read((ROOT / "requirements.txt").read_text())
    there = {name for name in locked if f"pkg:pypi/{name}" in parts}
    assert locked.keys() - there <= {"backports-zstd"}, "which Python has from 3.14 on"
    assert all(parts[f"pkg:pypi/{name}"]["licenses"] for name in there)
    assert "pkg:deb/debian/libc6" in parts
    assert len(parts) > len(there) + 50
    labels = {each["name"]: each["value"] for each in bill["metadata"]["component"]["properties"]}
    assert labels["org.opencontainers.image.base.name"].startswith(BASE_IMAGE)
    assert sbom.of_image(image) == text


def test_two_builds_of_one_commit_are_the_same(image: str, supplied: Supply, say: Say) -> None:
    """They are the same layer by layer, without a shared cache."""
    say("building once more, without a cache")
    again = f"echo:{__version__}-again"
    docker("build", "--no-cache", "--tag", again, "--build-arg", f"base_image={supplied.base_image}", ".", deadline=600)
    try:
        assert layers(again) == layers(image)
    finally:
        docker("image", "rm", again)


def test_the_exercises_commands_work_as_they_stand() -> None:
    """They are the README's commands, unchanged."""
    readme = (ROOT / "README.md").read_text()
    build, start, ask, stop = (
        f"docker build -t {EXERCISE} .",
        f"docker run --rm --name ex02-echo --publish 8082:8080 {EXERCISE}",
        "curl http://0.0.0.0:8082/blah/blah",
        "docker rm -f ex02-echo",
    )
    for command in (build, start, ask, stop):
        assert f"{command}\n" in readme
    run(*build.split(), deadline=600)
    with subprocess.Popen(start.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(f"echo {__version__} listens on ")
            assert run(*ask.split()) == "<b>Got: blah/blah</b>!"
        finally:
            run(*stop.split())
    run("docker", "image", "rm", EXERCISE)
