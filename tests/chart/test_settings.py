"""Settings in the chart's `config`: accepted, and passed to the service."""

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import FieldInfo, fields

from app.config import loader
from app.config.settings import Settings
from tests.chart.rendering import HelmError, chart, template
from tools.chart import documented

# A valid text for each setting that is text.
TEXTS = {
    "trusted_proxies": "10.0.0.0/8,fd00::/8",
    "jwt_headers": "X-Token",
    "redact": "X-Secret",
}
FILES = ("jwks", "tls_cert", "tls_key", "tls_client_ca")


def another(field: FieldInfo) -> Any:
    """Return a value of a setting that is not its default."""
    schema = msgspec.json.schema(field.type)
    if "enum" in schema:
        return next(word for word in schema["enum"] if word != field.default)
    if schema["type"] == "string":
        return TEXTS.get(field.name, f"/files/{field.name}" if field.name in FILES else "changed")
    return schema["maximum"] if schema["maximum"] != field.default else schema["minimum"]


def variables(config: dict[str, Any], *flags: str) -> dict[str, str]:
    """Return the settings in the environment of the pods, with these values in `config`."""
    deployment = chart("--set-json", f"config={json.dumps(config)}", *flags).one("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if each["name"].startswith("ECHO_")}


def test_every_setting_is_in_the_schema_and_in_the_list() -> None:
    """Each has its own name; only the addresses, ports and the drain, which the chart sets, are excluded."""
    known = documented.SETTINGS.read_text().split()
    schema = json.loads(documented.SCHEMA.read_text())["definitions"]["config"]["properties"]
    assert known == list(schema) == list(documented.settings())
    assert len(known) == len(fields(Settings)) - 4


def test_every_setting_reaches_the_service() -> None:
    """The service reads all values from the environment of the pods, set at once."""
    config = {name: another(field) for name, field in documented.settings().items()}
    read = loader.read_settings(variables(config))
    expected = {field.name: config[name] for name, field in documented.settings().items()}
    assert {name: value for name, value in msgspec.structs.asdict(read).items() if name in expected} == expected


def test_settings_can_be_set_on_the_command_line() -> None:
    """`--set config.ECHO_FORMAT=json` works."""
    (container,) = chart("--set", "config.ECHO_FORMAT=json").one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert {"name": "ECHO_FORMAT", "value": "json"} in container["env"]


def test_settings_that_are_not_set_keep_the_services_default() -> None:
    """By default only the drain is set, from which the grace period is computed; null and an empty text set nothing."""
    assert variables({}) == {"ECHO_DRAIN_SECONDS": "10"}
    assert variables({"ECHO_FORMAT": "", "ECHO_MAX_BODY": None, "ECHO_SEED": ""}) == {"ECHO_DRAIN_SECONDS": "10"}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        pytest.param("ECHO_ALLOW_COOKIE", True, "on", id="on, as YAML reads it"),
        pytest.param("ECHO_PRETTY", False, "off", id="off, as YAML reads it"),
        pytest.param("ECHO_ALLOW_REDIRECT", False, "off", id="off among other words"),
        pytest.param("ECHO_TLS_MIN_VERSION", 1.3, "1.3", id="a version without quotes"),
        pytest.param("ECHO_TLS_MIN_VERSION", "1.2", "1.2", id="a version with quotes"),
        pytest.param("ECHO_MAX_BODY", 1 << 40, "1099511627776", id="a large number, without exponent"),
        pytest.param("ECHO_MAX_BODY", "1024", "1024", id="a number in quotes"),
        pytest.param("ECHO_MAX_BODY", "10MiB", "10MiB", id="a size with a unit"),
        pytest.param("ECHO_IDLE_TIMEOUT", "1.5s", "1.5s", id="a duration with a unit"),
        pytest.param("ECHO_IDLE_TIMEOUT", 90.5, "90.5", id="a fraction"),
        pytest.param("ECHO_SEED", 7, "7", id="a text that looks like a number"),
        pytest.param("ECHO_TRUSTED_PROXIES", ["10.0.0.0/8", "fd00::/8"], "10.0.0.0/8,fd00::/8", id="a list"),
        pytest.param("ECHO_REDACT", [], "", id="an empty list, which is not the default"),
        pytest.param("ECHO_JWKS", "/{{ .Release.Name }}/jwks.json", "/echo/jwks.json", id="a template"),
    ],
)
def test_a_value_is_written_as_the_service_reads_it(name: str, value: Any, text: str) -> None:
    """YAML and Helm do not change a value on its way to the service."""
    assert variables({name: value})[name] == text


def test_the_drain_may_have_a_fraction() -> None:
    """The grace period is whole seconds, rounded up."""
    deployment = chart("--set-json", "drainSeconds=2.5").one("Deployment")
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 5 + 3 + 5
    assert variables({}, "--set-json", "drainSeconds=2.5") == {"ECHO_DRAIN_SECONDS": "2.5"}


@pytest.mark.parametrize(
    "setting",
    [
        "ECHO_MAX_BODY=-1",
        "ECHO_WORKERS=257",
        "ECHO_FORMAT=jsn",
        "ECHO_PRETTY=perhaps",
        "ECHO_IDLE_TIMEOUT=75h",
        "ECHO_IDLE_TIMEOUT=7 s",
        "ECHO_MAX_BODY=1TB",
        "ECHO_MAX_BODY=1.5MiB",
        "ECHO_WORKERS=2k",
        "ECHO_TLS_MIN_VERSION=1.1",
        "ECHO_TRUSTED_PROXIES[0].a=b",
    ],
)
def test_a_value_that_the_service_would_reject_is_rejected_before(setting: str) -> None:
    """It is rejected by the types and limits of the service itself; the error names the setting."""
    with pytest.raises(HelmError, match=rf"config/{setting.partition('=')[0].partition('[')[0]}"):
        template("--set", f"config.{setting}")
