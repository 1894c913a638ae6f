"""Sections of the page in order, and those about the request itself."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET

from app.echo.context import Context
from app.echo.formats.html import party_sections
from app.echo.formats.html.components import Block, Remark, Row, Section, Text, counted, pairs, table, told
from app.echo.formats.html.curl import curl_command
from app.echo.reflection.body import ReflectedBody, ReflectedContent
from app.echo.reflection.model import Reflection

_LONGEST_JSON: Final = 262_144  # characters of indented JSON; deeply nested, 64 KiB become 4 MB
_BASE64_LINE: Final = 76


def sections_of(reflected: Reflection, context: Context) -> Sequence[Section]:
    """Return all sections, including those without blocks."""
    return (
        _request(reflected),
        _fields(reflected),
        _query(reflected),
        _cookies(reflected),
        _body(reflected.body),
        _trailers(reflected),
        party_sections.client(reflected),
        party_sections.tls(reflected),
        party_sections.pod(reflected),
        party_sections.trace(reflected),
        party_sections.credentials(reflected),
        party_sections.applied(reflected),
        _curl(context),
    )


def _request(reflected: Reflection) -> Section:
    rows = told(
        ("Method", reflected.method),
        ("Target", reflected.path),
        ("Protocol", reflected.proto),
        ("Host", reflected.host),
        ("Time", reflected.time),
        ("Request ID", reflected.id),
    )
    return Section("request", "Request", "Method, target and time", pairs("Request", rows, wire=False))


def _fields(reflected: Reflection) -> Section:
    number = counted(len(reflected.received), "header")
    blocks: list[Block] = []
    if reflected.pseudo is not UNSET:
        blocks += pairs("Pseudo-headers", reflected.pseudo, numbered=True)
    blocks += pairs("Headers", reflected.received, numbered=True)
    return Section("fields", "Headers", f"{number}, in the order received", blocks)


def _query(reflected: Reflection) -> Section:
    number = counted(len(reflected.query), "pair")
    return Section("query", "Query", f"{number}, decoded", pairs("Query", reflected.query, numbered=True))


def _cookies(reflected: Reflection) -> Section:
    number = counted(len(reflected.cookies), "cookie")
    return Section("cookies", "Cookies", number, pairs("Cookies", reflected.cookies, numbered=True))


def _trailers(reflected: Reflection) -> Section:
    number = counted(len(reflected.trailers), "trailer")
    return Section(
        "trailers", "Trailers", f"{number} after the body", pairs("Trailers", reflected.trailers, numbered=True)
    )


def _body(body: ReflectedBody) -> Section:
    if not (body.length or body.chunked):
        return Section("body", "Body", "", ())
    measured = told(
        ("Length", counted(body.length, "byte")),
        ("Transfer coding", "chunked" if body.chunked else None),
        ("SHA-256", body.sha256),
    )
    blocks = pairs("Body", measured, wire=False) + _beginning("Body", body)
    blocks += _meaning(body)
    if body.decoded:
        blocks += _decoded(body.decoded)
    return Section("body", "Body", counted(body.length, "byte"), blocks)


def _meaning(body: ReflectedBody) -> list[Block]:
    """Return blocks of the body parsed according to its Content-Type."""
    blocks: list[Block] = []
    if body.json is not UNSET:
        blocks += _json(bytes(body.json), body.text or "")
    if body.form:
        blocks += pairs("Form", body.form, numbered=True)
    if body.multipart:
        rows: list[Row] = [
            (part.name or "", part.filename or "", part.content_type or "", counted(part.length, "byte"), part.sha256)
            for part in body.multipart
        ]
        blocks += table("Parts", ("Name", "File name", "Type", "Length", "SHA-256"), rows, numbered=True)
    if body.multipart_refused:
        blocks.append(Remark(f"Parts not parsed: {body.multipart_refused}."))
    return blocks


def _json(written: bytes, shown: str) -> list[Block]:
    indented = msgspec.json.format(written, indent=2).decode()
    if indented == shown.strip():
        return []
    if len(indented) > _LONGEST_JSON:
        return [Remark("JSON nested too deeply to be indented.")]
    return [Text("Body as indented JSON", indented)]


def _decoded(decoded: ReflectedContent) -> list[Block]:
    title = f"Decoded from {', '.join(decoded.codings)}"
    if decoded.refused:
        return [Remark(f"{title}: {decoded.refused}.")]
    length = counted(decoded.length or 0, "byte")
    measured = told(("Length", length), ("SHA-256", decoded.sha256 or None))
    return [*pairs(title, measured, wire=False), *_beginning(title, decoded)]


def _beginning(title: str, content: ReflectedBody | ReflectedContent) -> list[Block]:
    blocks: list[Block] = []
    if content.truncated:
        blocks.append(Remark("Only the first 65,536 bytes are shown."))
    if content.text:
        blocks.append(Text(f"{title}, as text", content.text))
    if content.base64:
        lines = (content.base64[at : at + _BASE64_LINE] for at in range(0, len(content.base64), _BASE64_LINE))
        blocks.append(Text(f"{title}, in base64", "\n".join(lines)))
    return blocks


def _curl(context: Context) -> Section:
    command = curl_command(context)
    blocks: list[Block] = [Text("The request as a curl command", command.text, whole=True)]
    blocks += [Remark(remark) for remark in command.remarks]
    return Section("curl", "curl", "The same request as a command for a POSIX shell; one click selects it all", blocks)
