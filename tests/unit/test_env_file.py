"""The file of settings: what it may say, what wins, and how its mistakes are told."""

import os
from pathlib import Path

import pytest

from app import healthcheck
from app.config import env_file, settings
from app.config.settings import SettingsError, changes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give where the file is."""
    return tmp_path / "echo.env"


def read(file: Path, text: str | bytes, **environ: str) -> settings.Settings:
    """Read the settings of an environment that names a file with this text."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return settings.read({"ECHO_ENV_FILE": str(file)} | environ)


def mistakes(file: Path, text: str | bytes, **environ: str) -> list[str]:
    """Give the sentences about such settings; the file is called FILE."""
    with pytest.raises(SettingsError) as raised:
        read(file, text, **environ)
    return [told.replace(str(file), "FILE") for told in raised.value.args]


def test_its_lines_are_settings(file: Path) -> None:
    """A value is all behind the first `=`; comments, empty lines, other systems' line ends and a BOM say nothing."""
    text = "\ufeff# how it answers\r\n\r\nECHO_FORMAT=json\r\n  ECHO_SEED = a=b # c \nECHO_JWT_HEADERS=\n"
    told = read(file, text)
    assert (told.format, told.seed, told.jwt_headers) == ("json", "a=b # c", "")
    assert told.env_file == str(file)


def test_the_environment_wins(file: Path) -> None:
    """So that one pod can differ from what all of them mount."""
    told = read(file, "ECHO_FORMAT=json\nECHO_WORKERS=2\n", ECHO_FORMAT="text")
    assert (told.format, told.workers) == ("text", 2)


def test_every_mistake_is_told_with_its_line(file: Path) -> None:
    """All at once, also one that the environment would hide, and behind them those of the environment."""
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
    """Where it listens, and which file it is."""
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
    """In one sentence."""
    assert [told.partition(": ")[2] for told in mistakes(file, text)] == [reason]


def test_no_secret_of_another_file_is_told(file: Path) -> None:
    """Somebody has named a private key, or the text of one."""
    key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\nc2VjcmV0MQ==\n-----END PRIVATE KEY-----\n"
    assert mistakes(file, key) == [f"FILE:{line}: must be ECHO_NAME=value" for line in (1, 2, 3, 4)]
    with pytest.raises(SettingsError) as raised:
        settings.read({"ECHO_ENV_FILE": key})
    assert raised.value.args == ("ECHO_ENV_FILE must be the path of a file, not its content",)


def test_a_file_that_can_not_be_read_is_a_mistake(file: Path) -> None:
    """With the reason that the system gives."""
    with pytest.raises(SettingsError, match=r"^ECHO_ENV_FILE='.*': No such file or directory$"):
        settings.read({"ECHO_ENV_FILE": str(file)[-30:]})
    with pytest.raises(SettingsError, match=r"^ECHO_ENV_FILE='.*': Is a directory$"):
        settings.read({"ECHO_ENV_FILE": "/"})


def test_a_pipe_is_waited_for_by_nobody(tmp_path: Path) -> None:
    """Read on SIGHUP, one would keep the arbiter from taking a stop until somebody writes to it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SettingsError, match="a pipe can't be read again; must be a regular file"):
        settings.read({"ECHO_ENV_FILE": str(pipe)})


def test_what_changed_is_known_by_its_names(file: Path) -> None:
    """And no value is told: it may be long, or a path that is nobody's business."""
    before = read(file, "ECHO_FORMAT=json\nECHO_SEED=1\n")
    assert changes(before, read(file, "ECHO_FORMAT=text\nECHO_PRETTY=off\nECHO_SEED=1\n")) == [
        "ECHO_FORMAT",
        "ECHO_PRETTY",
    ]


def test_the_health_check_reads_no_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The echo beside it may go on with what stood there before."""
    file.write_text("nonsense")
    assert healthcheck.main({"ECHO_ENV_FILE": str(file), "ECHO_ADMIN_PORT": "1", "ECHO_WORKERS": "?"}) == 1
    assert "Connection refused" in capsys.readouterr().err
