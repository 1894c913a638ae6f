"""The settings file: syntax, precedence, and error messages."""

import os
from pathlib import Path

import pytest

from app import healthcheck
from app.config import env_file, settings
from app.config.settings import SettingsError, changes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of the file."""
    return tmp_path / "echo.env"


def read(file: Path, text: str | bytes, **environ: str) -> settings.Settings:
    """Read the settings of an environment that names a file with this text."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return settings.read({"ECHO_ENV_FILE": str(file)} | environ)


def mistakes(file: Path, text: str | bytes, **environ: str) -> list[str]:
    """Return the error messages for such settings, in which FILE stands for the file."""
    with pytest.raises(SettingsError) as raised:
        read(file, text, **environ)
    return [told.replace(str(file), "FILE") for told in raised.value.args]


def test_its_lines_are_settings(file: Path) -> None:
    """A value is everything after the first `=`.

    Comments, empty lines, CRLF line ends and a BOM are ignored.
    """
    text = "\ufeff# how it answers\r\n\r\nECHO_FORMAT=json\r\n  ECHO_SEED = a=b # c \nECHO_JWT_HEADERS=\n"
    told = read(file, text)
    assert (told.format, told.seed, told.jwt_headers) == ("json", "a=b # c", "")
    assert told.env_file == str(file)


def test_the_environment_wins(file: Path) -> None:
    """The environment overrides the file, so that one pod can differ from what all of them mount."""
    told = read(file, "ECHO_FORMAT=json\nECHO_WORKERS=2\n", ECHO_FORMAT="text")
    assert (told.format, told.workers) == ("text", 2)


def test_every_mistake_is_told_with_its_line(file: Path) -> None:
    """All mistakes are reported together with their lines, also overridden ones, before those of the environment."""
    text = (
        "ECHO_FORMAT=jsn\nnonsense\nECHO_WORKRS=2\nECHO_SEED=1\nECHO_SEED=2\nexport ECHO_PRETTY=on\n" + "x" * 99 + "=1"
    )
    assert mistakes(file, text, ECHO_FORMAT="json", ECHO_MAX_SIZE="big") == [
        "FILE:1: ECHO_FORMAT='jsn': must be one of bare, html, json, text, yaml",
        "FILE:2: must be ECHO_NAME=value",
        "FILE:3: ECHO_WORKRS is not a setting; did you mean ECHO_WORKERS?",
        "FILE:5: ECHO_SEED is already set in line 4",
        "FILE:6: must be ECHO_NAME=value",
        "FILE:7: must be ECHO_NAME=value",
        "ECHO_MAX_SIZE='big': must be a whole number from 0 to 1099511627776",
    ]


@pytest.mark.parametrize("name", [*settings.FIXED, "ECHO_ENV_FILE"])
def test_what_can_not_change_can_not_be_in_it(file: Path, name: str) -> None:
    """Ports, addresses and the file itself can only be set in the environment."""
    assert mistakes(file, f"{name}=1\n") == [f"FILE:1: {name} can only be set in the environment"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"ECHO_SEED=\xff", "invalid UTF-8 at byte 10"),
        (b"#" * (env_file.LARGEST + 1), f"larger than {env_file.LARGEST} bytes"),
    ],
    ids=["bytes", "too long"],
)
def test_what_is_no_such_file_is_told(file: Path, text: bytes, reason: str) -> None:
    """An invalid file is reported in one sentence."""
    assert [told.partition(": ")[2] for told in mistakes(file, text)] == [reason]


def test_no_secret_of_another_file_is_told(file: Path) -> None:
    """The content of another file is never quoted: it may be a private key, or its text as the path."""
    key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\nc2VjcmV0MQ==\n-----END PRIVATE KEY-----\n"
    assert mistakes(file, key) == [f"FILE:{line}: must be ECHO_NAME=value" for line in (1, 2, 3, 4)]
    with pytest.raises(SettingsError) as raised:
        settings.read({"ECHO_ENV_FILE": key})
    assert raised.value.args == ("ECHO_ENV_FILE must be the path of a file, not its content",)


def test_a_file_that_can_not_be_read_is_a_mistake(file: Path) -> None:
    """An unreadable file is an error with the system's reason."""
    with pytest.raises(SettingsError, match=r"^ECHO_ENV_FILE='.*': No such file or directory$"):
        settings.read({"ECHO_ENV_FILE": str(file)[-30:]})
    with pytest.raises(SettingsError, match=r"^ECHO_ENV_FILE='.*': Is a directory$"):
        settings.read({"ECHO_ENV_FILE": "/"})


def test_a_pipe_is_waited_for_by_nobody(tmp_path: Path) -> None:
    """A pipe is rejected: on SIGHUP the arbiter would block until somebody writes to it, and could not stop."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SettingsError, match="a pipe can't be read again; must be a regular file"):
        settings.read({"ECHO_ENV_FILE": str(pipe)})


def test_what_changed_is_known_by_its_names(file: Path) -> None:
    """Changes are reported by name, without values, which may be long or confidential paths."""
    before = read(file, "ECHO_FORMAT=json\nECHO_SEED=1\n")
    assert changes(before, read(file, "ECHO_FORMAT=text\nECHO_PRETTY=off\nECHO_SEED=1\n")) == [
        "ECHO_FORMAT",
        "ECHO_PRETTY",
    ]


def test_the_health_check_reads_no_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The health check does not read the file, because the running echo may still use the previous content."""
    file.write_text("nonsense")
    assert healthcheck.main({"ECHO_ENV_FILE": str(file), "ECHO_ADMIN_PORT": "1", "ECHO_WORKERS": "?"}) == 1
    assert "Connection refused" in capsys.readouterr().err
