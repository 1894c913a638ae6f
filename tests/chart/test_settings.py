"""The service's settings as values: every one is there, and comes to the service as it was meant."""

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import FieldInfo, fields

from app import settings
from app.settings import Settings
from tests.chart import documented
from tests.chart.rendering import HelmError, chart, template

# A text for each setting that is text, such as the service takes.
TEXTS = {
    "trusted_proxies": "10.0.0.0/8,fd00::/8",
    "jwt_fields": "X-Token",
    "redact": "X-Secret",
}
FILES = ("env_file", "jwks", "tls_cert", "tls_key", "tls_client_ca")
READ = {"ECHO_ENV_FILE": "envFile", "ECHO_JWKS": "jwks"}  # those that are read with the settings


def another(field: FieldInfo) -> Any:
    """Give a value of a setting that is not its default."""
    schema = msgspec.json.schema(field.type)
    if "enum" in schema:
        return next(word for word in schema["enum"] if word != field.default)
    if schema["type"] == "string":
        return TEXTS.get(field.name, f"/files/{field.name}" if field.name in FILES else "changed")
    return schema["maximum"] if schema["maximum"] != field.default else schema["minimum"]


def told(values: dict[str, Any]) -> dict[str, str]:
    """Give the variables of the service that the pods have with these values in `echo`."""
    (container,) = chart("--set-json", f"echo={json.dumps(values)}").one("Deployment")["spec"]["template"]["spec"][
        "containers"
    ]
    return {each["name"]: each["value"] for each in container["env"] if each["name"].startswith("ECHO_")}


def test_every_setting_has_its_value() -> None:
    """By its name in the way of Kubernetes; but for the addresses and ports, which are the chart's own."""
    every = documented.values(documented.VALUES.read_text())
    named = {each.path[1] for each in every if each.path[0] == "echo" and not each.group}
    assert named == {"labels", *documented.settings()}
    assert len(documented.settings()) == len(fields(Settings)) - 3


def test_every_setting_that_is_changed_comes_to_the_service() -> None:
    """All at once: the service reads from the pod's environment what the values say."""
    given = {name: another(field) for name, field in documented.settings().items()}
    variables = told(given)
    # Files are read where they are.
    read = settings.read({name: value for name, value in variables.items() if name not in READ})
    assert {name: variables[name] for name in READ} == {name: given[value] for name, value in READ.items()}
    known = documented.settings().items()
    expected = {field.name: given[name] for name, field in known if name not in READ.values()}
    assert {name: value for name, value in msgspec.structs.asdict(read).items() if name in expected} == expected


def test_what_is_not_set_is_left_to_the_service() -> None:
    """By default only the drain, which the pod's grace period is made of; null and an empty text say nothing."""
    assert told({}) == {"ECHO_DRAIN_SECONDS": "10"}
    assert told({"format": "", "maxBody": None, "seed": ""}) == {"ECHO_DRAIN_SECONDS": "10"}


@pytest.mark.parametrize(
    ("value", "given", "variable", "text"),
    [
        pytest.param("allowCookie", True, "ECHO_ALLOW_COOKIE", "on", id="on, as YAML has it"),
        pytest.param("pretty", False, "ECHO_PRETTY", "off", id="off, as YAML has it"),
        pytest.param("allowRedirect", False, "ECHO_ALLOW_REDIRECT", "off", id="off among other words"),
        pytest.param("tlsMinVersion", 1.3, "ECHO_TLS_MIN_VERSION", "1.3", id="a version without quotes"),
        pytest.param("maxBody", 1 << 40, "ECHO_MAX_BODY", "1099511627776", id="a large number, without exponent"),
        pytest.param("idleTimeout", 90.5, "ECHO_IDLE_TIMEOUT", "90.5", id="a fraction"),
        pytest.param(
            "trustedProxies", ["10.0.0.0/8", "fd00::/8"], "ECHO_TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8", id="a list"
        ),
        pytest.param("redact", [], "ECHO_REDACT", "", id="an empty list, which is not the default"),
    ],
)
def test_a_value_is_written_as_the_service_reads_it(value: str, given: Any, variable: str, text: str) -> None:
    """Whatever YAML and Helm make of it on the way."""
    assert told({value: given})[variable] == text


def test_the_drain_may_have_a_fraction() -> None:
    """The grace period is whole seconds, and not less."""
    pod = chart("--set-json", "echo.drainSeconds=2.5").one("Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 5 + 3 + 5


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("maxBody=-1", "/echo/maxBody"),
        ("workers=257", "/echo/workers"),
        ("format=jsn", "/echo/format"),
        ("pretty=perhaps", "/echo/pretty"),
        ("idleTimeout=75s", "/echo/idleTimeout"),
        ("port=80", "'port'"),
        ("host=0.0.0.0", "'host'"),
    ],
)
def test_a_setting_that_the_service_would_refuse_is_refused_before(value: str, named: str) -> None:
    """By the bounds of the service itself."""
    with pytest.raises(HelmError, match=named):
        template("--set", f"echo.{value}")
