"""Settings: values from the environment, and error messages."""

import pytest
from msgspec.structs import FieldInfo

from app.config import loader, settings_table
from app.config.field_types import quantity
from app.config.policy import PARSERS
from app.config.settings import FIELDS_BY_VARIABLE, Settings, SettingsError
from app.http.quantities import format_size


def test_an_empty_environment_gives_the_defaults_of_the_contract() -> None:
    """Defaults of names and values that others rely on are stable."""
    read = loader.read_settings({})
    assert (read.host, read.port, read.admin_port, read.workers) == ("127.0.0.1", 8080, 9090, 1)
    assert read.idle_timeout == 75


def test_a_value_is_read_with_its_type() -> None:
    """Values are converted from strings to their types."""
    read = loader.read_settings({"ECHO_PORT": "8081", "ECHO_IDLE_TIMEOUT": "2.5", "ECHO_HOST": "::1", "PATH": "/bin"})
    assert (read.port, read.idle_timeout, read.host) == (8081, 2.5, "::1")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ECHO_MAX_BODY", "10MiB", 10 << 20),
        ("ECHO_MAX_BODY", "512KiB", 512 << 10),
        ("ECHO_MAX_BODY", "1GiB", 1 << 30),
        ("ECHO_MAX_BODY", "10MB", 10**7),
        ("ECHO_MAX_BODY", "2k", 2000),
        ("ECHO_MAX_BODY", "1048576", 1 << 20),
        ("ECHO_MAX_BODY", "0", 0),
        ("ECHO_MAX_BODY", "1024GiB", 1 << 40),
        ("ECHO_MIN_BODY_RATE", "1KiB", 1024),
        ("ECHO_MAX_DELAY", "250ms", 0.25),
        ("ECHO_MAX_DELAY", "100ms", 0.1),
        ("ECHO_MAX_DELAY", "1.5s", 1.5),
        ("ECHO_MAX_DELAY", "2m", 120.0),
        ("ECHO_MAX_DELAY", "60m", 3600.0),
        ("ECHO_MAX_DELAY", "2.5", 2.5),
        ("ECHO_MAX_DELAY", "0.30000000000000004", 0.30000000000000004),
        ("ECHO_WEBSOCKET_TIMEOUT", "10080m", 604_800.0),
        ("ECHO_DRAIN_SECONDS", "20s", 20.0),
    ],
)
def test_a_size_or_duration_may_have_a_unit(name: str, value: str, expected: float) -> None:
    """Plain numbers are bytes or seconds; maximum values are accepted."""
    read = getattr(loader.read_settings({name: value}), name.removeprefix("ECHO_").lower())
    assert (read, type(read)) == (expected, type(expected))


@pytest.mark.parametrize(("variable", "field"), FIELDS_BY_VARIABLE.items(), ids=FIELDS_BY_VARIABLE)
def test_a_default_that_is_shown_can_be_set(variable: str, field: FieldInfo) -> None:
    """Setting the default of the table changes nothing; sizes and durations have a unit in it."""
    shown = {name: default for name, default, _ in settings_table.rows()}[variable]
    assert loader.read_settings({variable: "" if shown == "empty" else shown}) == Settings()
    assert quantity(field.type) is None or shown.endswith("s") or format_size(field.default) == shown


def test_every_mistake_is_named_at_once() -> None:
    """All mistakes are reported together, so that a user can fix them at once."""
    with pytest.raises(SettingsError) as raised:
        loader.read_settings({"ECHO_PORT": "0", "ECHO_WORKRS": "2", "ECHO_IDLE_TIMEOUT": "x" * 500, "ECHO_ZZZ": ""})
    told = raised.value.args
    assert len(told) == 4
    assert "ECHO_WORKRS is not a setting; did you mean ECHO_WORKERS?" in told
    assert "ECHO_ZZZ is not a setting; python -m app --help lists all settings" in told
    assert "ECHO_PORT='0': must be a whole number from 1 to 65535" in told
    assert all(len(line) < 120 for line in told), "a long value is shortened"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ECHO_HEAD_TIMEOUT", "ECHO_HEADER_TIMEOUT"),
        ("ECHO_JWT_FIELDS", "ECHO_JWT_HEADERS"),
        ("ECHO_MAX_FIELD", "ECHO_MAX_HEADER_BYTES"),
        ("ECHO_MAX_FIELDS", "ECHO_MAX_HEADERS"),
        ("ECHO_MAX_HEAD", "ECHO_MAX_HEADER_BYTES"),
        ("ECHO_MAX_HELD", "ECHO_MEMORY_BUDGET"),
        ("ECHO_REDACT_ANSWERS", "ECHO_REDACT_RESPONSES"),
    ],
)
def test_a_renamed_setting_is_rejected_with_its_new_name(old: str, new: str) -> None:
    """The error suggests the new name, which exists."""
    with pytest.raises(SettingsError) as raised:
        loader.read_settings({old: "1"})
    assert raised.value.args == (f"{old} is not a setting; did you mean {new}?",)
    assert new in {variable for variable, _, _ in settings_table.rows()}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ECHO_MAX_DELAY", "must be a duration above 0, at most 3600s: 250ms, 1.5s"),
        ("ECHO_MAX_SIZE", "must be a size from 0 to 1024GiB: 10kB, 10MiB"),
        ("ECHO_MAX_MESSAGE", "must be a size from 1KiB to 1GiB: 10kB, 10MiB"),
        ("ECHO_WORKERS", "must be a whole number from 1 to 256"),
    ],
)
def test_what_is_no_number_is_told_in_words(name: str, reason: str) -> None:
    """An invalid number is explained in words, and not in those of a type system."""
    with pytest.raises(SettingsError) as raised:
        loader.read_settings({name: "ages"})
    assert raised.value.args == (f"{name}='ages': {reason}",)


def test_what_else_there_is_is_told() -> None:
    """The error for a setting of fixed words lists them."""
    with pytest.raises(SettingsError) as raised:
        loader.read_settings({"ECHO_DIALECT": "httpbin"})
    assert raised.value.args == ("ECHO_DIALECT='httpbin': must be one of echo, echoserver, gateway-api, whoami",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ECHO_PORT", "65536"),
        ("ECHO_PORT", " 80"),
        ("ECHO_PORT", ""),
        ("ECHO_HOST", ""),
        ("ECHO_WORKERS", "0"),
        ("ECHO_WORKERS", "1.5"),
        ("ECHO_HEADER_TIMEOUT", "0"),
        ("ECHO_HEADER_TIMEOUT", "nan"),
        ("ECHO_HEADER_TIMEOUT", "inf"),
        ("ECHO_MAX_BODY", "-1"),
        ("ECHO_MAX_HEADER_BYTES", "10"),
        ("ECHO_TLS_ONLY", "yes"),
        ("ECHO_TLS_ONLY", ""),
        ("ECHO_TLS_CLIENT_AUTH", "optional"),
        ("ECHO_TLS_MIN_VERSION", "1.1"),
        ("ECHO_TLS_MIN_VERSION", "TLSv1.3"),
        ("ECHO_PROXY_PROTOCOL", "v2"),
        ("ECHO_FORMAT", "events"),
        ("ECHO_PRETTY", "1"),
        ("ECHO_CONTROLS", "none"),
        ("ECHO_ALLOW_REDIRECT", "on"),
        ("ECHO_MAX_DELAY", "0"),
        ("ECHO_MAX_DELAY", "1h"),
        ("ECHO_MAX_DELAY", "3601s"),
        ("ECHO_MAX_DELAY", "61m"),
        ("ECHO_MAX_DELAY", "3600000.1ms"),
        ("ECHO_MAX_DELAY", "0ms"),
        ("ECHO_MAX_DELAY", "-1s"),
        ("ECHO_MAX_DELAY", "1e400"),
        ("ECHO_MAX_DELAY", "1e1"),
        ("ECHO_MAX_DELAY", " 1s"),
        ("ECHO_MAX_DELAY", "\u0661s"),
        ("ECHO_MAX_DELAY", "999999999999m"),
        ("ECHO_MAX_SIZE", "1025GiB"),
        ("ECHO_MAX_SIZE", "1TB"),
        ("ECHO_MAX_SIZE", "1.5MiB"),
        ("ECHO_MAX_SIZE", "1e3"),
        ("ECHO_MAX_SIZE", "nan"),
        ("ECHO_MAX_SIZE", "\u0661"),
        ("ECHO_MAX_SIZE", "999999999999999GiB"),
        ("ECHO_MAX_HEADER_BYTES", "1k"),
        ("ECHO_MAX_HEADER_BYTES", "1025KiB"),
        ("ECHO_WORKERS", "1k"),
        ("ECHO_PORT", "8k"),
        ("ECHO_MAX_EVENTS", "0"),
        ("ECHO_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("ECHO_TRUSTED_PROXIES", "*"),
        ("ECHO_TRUSTED_PROXIES", "private"),
        ("ECHO_JWKS", "/nowhere/keys.json"),
        ("ECHO_JWT_HEADERS", "X Token"),
        ("ECHO_REDACT", "Cookie:"),
    ],
)
def test_a_value_out_of_bounds_is_refused(name: str, value: str) -> None:
    """Each limit is enforced."""
    with pytest.raises(SettingsError, match=name):
        loader.read_settings({name: value}, PARSERS)


def test_one_port_for_both_is_refused() -> None:
    """The echo reserves no path for itself, so both ports can't be the same."""
    with pytest.raises(SettingsError, match="ECHO_PORT and ECHO_ADMIN_PORT are both 9090"):
        loader.read_settings({"ECHO_PORT": "9090"})


CERTIFICATE = {"ECHO_TLS_CERT": "tls.crt", "ECHO_TLS_KEY": "tls.key"}
TOGETHER = "ECHO_TLS_CERT and ECHO_TLS_KEY go together: set both or neither"
KEY = "-----BEGIN PRIVATE KEY-----"
CONTENT = "ECHO_TLS_%s must be the path of a file, not its content"
WORDS = "ECHO_TLS_ONLY='yes': must be one of off, on"
NEEDED = "ECHO_TLS_CLIENT_CA and ECHO_TLS_ONLY require ECHO_TLS_CERT and ECHO_TLS_KEY"


def test_tls_is_not_served_unless_it_is_set() -> None:
    """By default there is no certificate, none is requested from clients, and cleartext is accepted.

    The minimum is TLS 1.2 with OpenSSL's own ciphers.
    """
    read = loader.read_settings({})
    assert (read.tls_cert, read.tls_key, read.tls_client_ca, read.tls_ciphers) == ("", "", "", "")
    assert (read.tls_only, read.tls_client_auth, read.tls_min_version) == ("off", "require", "1.2")


def test_all_of_tls_is_set_by_the_names_of_the_contract() -> None:
    """A TLS version is a word, not a number."""
    read = loader.read_settings(
        CERTIFICATE
        | {
            "ECHO_TLS_ONLY": "on",
            "ECHO_TLS_CLIENT_CA": "ca.crt",
            "ECHO_TLS_CLIENT_AUTH": "request",
            "ECHO_TLS_MIN_VERSION": "1.3",
            "ECHO_TLS_CIPHERS": "ECDHE+AESGCM",
        }
    )
    assert (read.tls_cert, read.tls_key, read.tls_client_ca) == ("tls.crt", "tls.key", "ca.crt")
    assert (read.tls_only, read.tls_client_auth, read.tls_min_version) == ("on", "request", "1.3")
    assert read.tls_ciphers == "ECDHE+AESGCM"


@pytest.mark.parametrize(
    ("environ", "mistakes"),
    [
        ({"ECHO_TLS_CERT": "tls.crt"}, [TOGETHER]),
        ({"ECHO_TLS_KEY": "tls.key"}, [TOGETHER]),
        ({"ECHO_TLS_CERT": "tls.crt", "ECHO_TLS_KEY": ""}, [TOGETHER]),
        ({"ECHO_TLS_ONLY": "on"}, [NEEDED]),
        ({"ECHO_TLS_CLIENT_CA": "ca.crt"}, [NEEDED]),
        ({"ECHO_TLS_KEY": "tls.key", "ECHO_TLS_ONLY": "on"}, [TOGETHER, NEEDED]),
        (
            {"ECHO_PORT": "9090", "ECHO_TLS_ONLY": "on"},
            ["ECHO_PORT and ECHO_ADMIN_PORT are both 9090: set different ports", NEEDED],
        ),
    ],
)
def test_what_contradicts_itself_is_refused(environ: dict[str, str], mistakes: list[str]) -> None:
    """Each contradiction is reported in its own sentence, all together."""
    with pytest.raises(SettingsError) as raised:
        loader.read_settings(environ)
    assert list(raised.value.args) == mistakes


@pytest.mark.parametrize(
    ("environ", "mistakes"),
    [
        pytest.param(
            {"ECHO_PORT": "9090", "ECHO_WORKERS": "0", "ECHO_ZZZ": "", "ECHO_TLS_ONLY": "on"},
            [
                "ECHO_WORKERS='0': must be a whole number from 1 to 256",
                "ECHO_ZZZ is not a setting; python -m app --help lists all settings",
                "ECHO_PORT and ECHO_ADMIN_PORT are both 9090: set different ports",
                NEEDED,
            ],
            id="together with other mistakes",
        ),
        pytest.param(
            {"ECHO_PORT": "9090", "ECHO_ADMIN_PORT": "9090x"},
            ["ECHO_ADMIN_PORT='9090x': must be a whole number from 1 to 65535"],
            id="not with the default of an invalid port",
        ),
        pytest.param({"ECHO_TLS_CERT": KEY, "ECHO_TLS_KEY": "a"}, [CONTENT % "CERT"], id="an invalid certificate"),
        pytest.param({"ECHO_TLS_CERT": "a", "ECHO_TLS_KEY": KEY}, [CONTENT % "KEY"], id="an invalid key"),
        pytest.param({"ECHO_TLS_CERT": KEY, "ECHO_TLS_ONLY": "on"}, [CONTENT % "CERT"], id="TLS only, with one"),
        pytest.param({"ECHO_TLS_ONLY": "yes"}, [WORDS], id="an invalid switch"),
        pytest.param({"ECHO_TLS_ONLY": "yes", "ECHO_TLS_CLIENT_CA": "a"}, [WORDS, NEEDED], id="one of two causes"),
        pytest.param({"ECHO_TLS_CLIENT_CA": KEY, "ECHO_TLS_KEY": "a"}, [CONTENT % "CLIENT_CA", TOGETHER], id="another"),
    ],
)
def test_contradictions_are_reported_with_other_mistakes(environ: dict[str, str], mistakes: list[str]) -> None:
    """All are reported at once, except a contradiction that follows from an invalid setting."""
    with pytest.raises(SettingsError) as raised:
        loader.read_settings(environ)
    assert list(raised.value.args) == mistakes


@pytest.mark.parametrize(
    "environ",
    [{}, CERTIFICATE, CERTIFICATE | {"ECHO_TLS_ONLY": "on"}, CERTIFICATE | {"ECHO_TLS_CLIENT_CA": "ca.crt"}],
    ids=["none", "a certificate", "and TLS only", "and clients' certificates"],
)
def test_what_goes_together_is_taken(environ: dict[str, str]) -> None:
    """An empty value is the same as an unset one, because a chart may set it so."""
    unset = {"ECHO_TLS_CERT": "", "ECHO_TLS_KEY": "", "ECHO_TLS_CLIENT_CA": "", "ECHO_TLS_CIPHERS": ""}
    assert loader.read_settings(unset | environ) == loader.read_settings(environ)


def test_what_kubernetes_says_of_a_service_named_echo_is_no_setting() -> None:
    """Kubernetes' variables for a Service named echo are ignored, so that a pod beside it starts."""
    links = {
        "ECHO_PORT": "tcp://10.96.0.7:80",
        "ECHO_PORT_80_TCP": "tcp://10.96.0.7:80",
        "ECHO_PORT_80_TCP_PROTO": "tcp",
        "ECHO_PORT_80_TCP_PORT": "80",
        "ECHO_PORT_80_TCP_ADDR": "10.96.0.7",
        "ECHO_SERVICE_HOST": "10.96.0.7",
        "ECHO_SERVICE_PORT": "80",
        "ECHO_SERVICE_PORT_HTTP": "80",
        "ECHO_B_PORT": "tcp://10.96.0.8:80",
        "ECHO_B_SERVICE_HOST": "10.96.0.8",
        "ECHO_B_PORT_80_TCP_ADDR": "10.96.0.8",
    }
    assert loader.read_settings(links) == Settings()


def test_the_table_names_each_setting_with_its_default_in_groups() -> None:
    """The table printed by --help lists each setting once, in order, from the settings themselves."""
    lines = settings_table.table().splitlines()
    told = [line.split() for line in lines if line.startswith("  ")]
    assert [words[0] for words in told] == [variable for variable, _, _ in settings_table.rows()]
    assert ["ECHO_PORT", "(8080)"] in [[words[0], words[-1]] for words in told]
    assert all(len(words) > 2 for words in told), "each says what it means"
    names = [line for line in lines if line and not line.startswith(" ")]
    assert names == [f"{name}:" for name, _ in settings_table.groups()]
    assert all(members for _, members in settings_table.groups())


def test_what_is_one_of_a_few_words_says_which() -> None:
    """Settings with fixed words list them, except switches, which are on or off."""
    told = {variable: meaning for variable, _, meaning in settings_table.rows()}
    assert told["ECHO_TLS_MIN_VERSION"].endswith(": 1.2, 1.3")
    assert told["ECHO_PRETTY"] == "enable JSON indentation"


def test_who_only_asks_for_the_port_reads_no_file() -> None:
    """Reading only the port loads no file, as in the health check every few seconds: keys are for the server."""
    read = loader.read_settings({"ECHO_JWKS": "/nowhere/keys.json", "ECHO_ADMIN_PORT": "9091"})
    assert read.admin_port == 9091
