"""Fuzz target: the reflection.

It is the same in JSON and YAML, and every byte that was sent can be restored from its lossless text.
"""

from base64 import b64decode
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
import yaml

from app.echo.context import Context
from app.echo.formats import renderers
from app.http.body import BODY_PREFIX_SIZE
from app.http.redaction import MASK
from app.http.request import split_target
from tests.shown import turned_back
from tools.fuzz import contexts
from tools.fuzz.cutting import sampled

LONGEST: Final = contexts.LONGEST
WORDS: Final = contexts.WORDS
seeds = contexts.seeds
_YAML_ONE_OF: Final = 4  # inputs, because PyYAML takes longer for one than all else together
_DIALECTS: Final = ("gateway-api", "whoami", "echoserver")


def check(data: bytes) -> None:
    """Reflect what may be a request."""
    context = contexts.context_of(data)
    if context is None:
        return
    answer = renderers.render_json(context).body
    assert isinstance(answer, bytes)
    assert len(answer) < 40 * len(data) + 20_000
    reflected = msgspec.json.decode(answer)
    _check_shown(context, reflected)
    _check_provenance(reflected)
    if sampled(data, _YAML_ONE_OF):
        written = renderers.render_yaml(context).body
        assert isinstance(written, bytes)
        assert yaml.load(written, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) == reflected  # noqa: S506 - safe
    for name in _DIALECTS:
        renderers.RENDERERS[name](context)


def _check_shown(context: Context, reflected: dict[str, object]) -> None:
    request = context.request
    typed = msgspec.convert(reflected, _Shown)
    assert turned_back(typed.path) == request.target
    assert turned_back(typed.method) == request.method
    assert [(turned_back(name), turned_back(value)) for name, value in typed.received] == [*request.headers]
    assert [(turned_back(name), turned_back(value)) for name, value in typed.trailers] == [*request.trailers]
    query = split_target(request.target)[1]
    pairs = [pair.replace(b"+", b" ") for pair in query.split(b"&") if pair]
    assert [[turned_back(each) for each in pair] for pair in typed.query] == [
        [unquote_to_bytes(pair.split(b"=", 1)[0]), unquote_to_bytes(pair.split(b"=", 1)[1] if b"=" in pair else b"")]
        for pair in pairs
    ]
    body = typed.body
    assert body.length == request.body.length
    kept = b64decode(body.base64) if body.base64 is not msgspec.UNSET else (body.text or "").encode()
    assert kept == request.body.prefix[:BODY_PREFIX_SIZE]


def _check_provenance(reflected: dict[str, object]) -> None:
    typed = msgspec.convert(reflected, _Provenance)
    chain = typed.client.chain or []
    assert len(chain) <= 257
    assert typed.client.effective in {typed.client.address, *(hop.address for hop in chain)}
    if chain:
        untrusted = [hop.address for hop in chain if not hop.trusted]
        assert not untrusted or typed.client.effective in {untrusted[-1], *_behind(chain)}
    credentials = typed.credentials
    if credentials:
        assert not credentials.basic or credentials.basic["password"] == MASK
        assert not any(token["verified"] for token in credentials.jwt or [])


class _Hop(msgspec.Struct):
    address: str
    trusted: bool


def _behind(chain: list[_Hop]) -> set[str]:
    """Return the addresses after the last untrusted hop: one of them is the client's if that hop has no address."""
    last = max(place for place, hop in enumerate(chain) if not hop.trusted)
    return {hop.address for hop in chain[last + 1 :]}


class _Body(msgspec.Struct):
    length: int
    text: str | msgspec.UnsetType = msgspec.UNSET
    base64: str | msgspec.UnsetType = msgspec.UNSET


class _Shown(msgspec.Struct):
    path: str
    method: str
    received: list[tuple[str, str]]
    trailers: list[tuple[str, str]]
    query: list[tuple[str, str]]
    body: _Body


class _Client(msgspec.Struct):
    address: str
    effective: str
    chain: list[_Hop] | None = None


class _Credentials(msgspec.Struct):
    basic: dict[str, str] | None = None
    jwt: list[dict[str, object]] | None = None


class _Provenance(msgspec.Struct):
    client: _Client
    credentials: _Credentials | None = None
