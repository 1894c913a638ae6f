"""What an operator may set: the environment, read once at start into one frozen object.

Every setting is a row of `Settings`: its name, type, bound, default and help stand together, and
`python -m app --help` prints them.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any

import msgspec
from msgspec import Meta

PREFIX = "ECHO_"
_SHOWN = 40  # characters of a bad value that are shown

Address = Annotated[str, Meta(min_length=1)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Workers = Annotated[int, Meta(ge=1, le=256)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Fields = Annotated[int, Meta(ge=1, le=10_000)]
HeadBytes = Annotated[int, Meta(ge=1024, le=1 << 20)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Bytes = Annotated[int, Meta(ge=0, le=1 << 40)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one service. A field `idle_timeout` is the variable `ECHO_IDLE_TIMEOUT`."""

    host: Annotated[Address, Meta(description="address to listen on; * is every address, IPv4 and IPv6")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port that echoes everything")] = 8080
    admin_port: Annotated[Port, Meta(description="port for the cluster: /livez, /readyz, /version")] = 9090
    workers: Annotated[Workers, Meta(description="worker processes")] = 1
    drain_seconds: Annotated[Seconds, Meta(description="seconds to answer what was accepted, after SIGTERM")] = 10.0
    max_connections: Annotated[Count, Meta(description="open connections of a worker; one more is answered 503")] = (
        10_000
    )
    # 64 KiB and 256 fields are above what any browser, proxy or gateway sends by default, and bound what one
    # connection may hold in memory before it has said anything.
    max_head: Annotated[HeadBytes, Meta(description="bytes of a request's head; more is answered 431")] = 65_536
    max_fields: Annotated[Fields, Meta(description="header fields of a request; more is answered 431")] = 256
    max_body: Annotated[Bytes, Meta(description="bytes of a request's body; more is answered 413")] = 1 << 30
    head_timeout: Annotated[Seconds, Meta(description="seconds for a request's head to arrive; then 408")] = 10.0
    body_timeout: Annotated[Seconds, Meta(description="seconds of silence in a body, or of an answer not read")] = 30.0
    # Load balancers keep idle connections for 60 s; whoever closes first must be the balancer, or it sends a
    # request into a closed connection and answers 502.
    idle_timeout: Annotated[Seconds, Meta(description="seconds that an idle connection is kept")] = 75.0


class SettingsError(ValueError):
    """The environment holds mistakes. `args` are sentences, one for each, all of them at once."""


# Kubernetes gives pods `NAME_SERVICE_HOST`, `NAME_PORT=tcp://...` and more for each Service `name` of their
# namespace, and the usual name of ours is `echo`, or begins with it. They are about the Service, not settings.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(r"ECHO_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)")
_SERVICE_LINK_URL = re.compile(r"(tcp|udp|sctp)://")


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name) or (name.endswith("_PORT") and _SERVICE_LINK_URL.match(value)))


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _shortened(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else value[: _SHOWN - 3] + "...")


def read(environ: Mapping[str, str]) -> Settings:
    """Read the settings from an environment.

    Raises `SettingsError` with a sentence for every unknown `ECHO_*` name and every bad value.
    """
    fields = {_variable(field.name): field for field in msgspec.structs.fields(Settings)}
    given: dict[str, Any] = {}
    mistakes: list[str] = []
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or _is_service_link(name, value):
            continue
        field = fields.get(name)
        if field is None:
            nearest = get_close_matches(name, fields, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else "; python -m app --help lists them all"
            mistakes.append(f"{name} is not a setting{hint}")
            continue
        try:
            given[field.name] = msgspec.convert(value, field.type, strict=False)
        except msgspec.ValidationError as error:
            mistakes.append(f"{name}={_shortened(value)}: {error}")
    if not mistakes:
        settings = Settings(**given)
        if settings.port != settings.admin_port:
            return settings
        mistakes.append(f"ECHO_PORT and ECHO_ADMIN_PORT are both {settings.port}: give them different ports")
    raise SettingsError(*mistakes)


def rows() -> list[tuple[str, str, str]]:
    """Give each setting as (variable, default, meaning); where numbers are bytes or seconds, the meaning says so."""
    return [
        (_variable(field.name), str(field.default), msgspec.json.schema(field.type)["description"])
        for field in msgspec.structs.fields(Settings)
    ]


def table() -> str:
    """Give the settings as lines of text: variable, default, meaning."""
    widths = [max(len(row[column]) for row in rows()) for column in (0, 1)]
    return "\n".join(f"  {name:<{widths[0]}}  {default:<{widths[1]}}  {meaning}" for name, default, meaning in rows())
