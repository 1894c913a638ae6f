"""Sections of the page in order, and those about the request itself."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET

from app.echo.context import Context
from app.echo.formats.html import party_sections
from app.echo.formats.html.components import Block, Remark, Row, Section, Text, pairs, pluralize, present_rows, table
from app.echo.formats.html.curl import curl_command
from app.echo.reflection.body import ReflectedBody, ReflectedContent
from app.echo.reflection.model import Reflection

_MAX_JSON: Final = 262_144  # characters of indented JSON; deeply nested, 64 KiB become 4 MB
_BASE64_LINE: Final = 76


def build_sections(reflection: Reflection, context: Context) -> Sequence[Section]:
    """Return all sections, including those without blocks."""
    return (
        _request(reflection),
        _headers(reflection),
        _query(reflection),
        _cookies(reflection),
        _body(reflection.body),
        _trailers(reflection),
        party_sections.client(reflection),
        party_sections.tls(reflection),
        party_sections.pod(reflection),
        party_sections.trace(reflection),
        party_sections.credentials(reflection),
        party_sections.applied(reflection),
        _curl(context),
    )


def _request(reflection: Reflection) -> Section:
    rows = present_rows(
        ("Method", reflection.method),
        ("Target", reflection.path),
        ("Protocol", reflection.proto),
        ("Host", reflection.host),
        ("Time", reflection.time),
        ("Request ID", reflection.id),
    )
    return Section("request", "Request", "Method, target and time", pairs("Request", rows, wire=False))


def _headers(reflection: Reflection) -> Section:
    count_text = pluralize(len(reflection.received), "header")
    blocks: list[Block] = []
    if reflection.pseudo is not UNSET:
        blocks += pairs("Pseudo-headers", reflection.pseudo, numbered=True)
    blocks += pairs("Headers", reflection.received, numbered=True)
    return Section("fields", "Headers", f"{count_text}, in the order received", blocks)


def _query(reflection: Reflection) -> Section:
    count_text = pluralize(len(reflection.query), "pair")
    return Section("query", "Query", f"{count_text}, decoded", pairs("Query", reflection.query, numbered=True))


def _cookies(reflection: Reflection) -> Section:
    count_text = pluralize(len(reflection.cookies), "cookie")
    return Section("cookies", "Cookies", count_text, pairs("Cookies", reflection.cookies, numbered=True))


def _trailers(reflection: Reflection) -> Section:
    count_text = pluralize(len(reflection.trailers), "trailer")
    return Section(
        "trailers", "Trailers", f"{count_text} after the body", pairs("Trailers", reflection.trailers, numbered=True)
    )


def _body(body: ReflectedBody) -> Section:
    if not (body.length or body.chunked):
        return Section("body", "Body", "", ())
    rows = present_rows(
        ("Length", pluralize(body.length, "byte")),
        ("Transfer coding", "chunked" if body.chunked else None),
        ("SHA-256", body.sha256),
    )
    blocks = pairs("Body", rows, wire=False) + _body_prefix("Body", body)
    blocks += _parsed_body(body)
    if body.decoded:
        blocks += _decoded_body(body.decoded)
    return Section("body", "Body", pluralize(body.length, "byte"), blocks)


def _parsed_body(body: ReflectedBody) -> list[Block]:
    """Return blocks of the body parsed according to its Content-Type."""
    blocks: list[Block] = []
    if body.json is not UNSET:
        blocks += _indented_json(bytes(body.json), body.text or "")
    if body.form:
        blocks += pairs("Form", body.form, numbered=True)
    if body.multipart:
        rows: list[Row] = [
            (part.name or "", part.filename or "", part.content_type or "", pluralize(part.length, "byte"), part.sha256)
            for part in body.multipart
        ]
        blocks += table("Parts", ("Name", "File name", "Type", "Length", "SHA-256"), rows, numbered=True)
    if body.multipart_refused:
        blocks.append(Remark(f"Parts not parsed: {body.multipart_refused}."))
    return blocks


def _indented_json(raw_json: bytes, body_text: str) -> list[Block]:
    indented = msgspec.json.format(raw_json, indent=2).decode()
    if indented == body_text.strip():
        return []
    if len(indented) > _MAX_JSON:
        return [Remark("JSON nested too deeply to be indented.")]
    return [Text("Body as indented JSON", indented)]


def _decoded_body(decoded: ReflectedContent) -> list[Block]:
    title = f"Decoded from {', '.join(decoded.codings)}"
    if decoded.refused:
        return [Remark(f"{title}: {decoded.refused}.")]
    length = pluralize(decoded.length or 0, "byte")
    rows = present_rows(("Length", length), ("SHA-256", decoded.sha256 or None))
    return [*pairs(title, rows, wire=False), *_body_prefix(title, decoded)]


def _body_prefix(title: str, content: ReflectedBody | ReflectedContent) -> list[Block]:
    blocks: list[Block] = []
    if content.truncated:
        blocks.append(Remark("Only the first 65,536 bytes are shown."))
    if content.text:
        blocks.append(Text(f"{title}, as text", content.text))
    if content.base64:
        lines = (content.base64[start : start + _BASE64_LINE] for start in range(0, len(content.base64), _BASE64_LINE))
        blocks.append(Text(f"{title}, in base64", "\n".join(lines)))
    return blocks


def _curl(context: Context) -> Section:
    command = curl_command(context)
    blocks: list[Block] = [Text("The request as a curl command", command.text, select_all=True)]
    blocks += [Remark(remark) for remark in command.remarks]
    return Section("curl", "curl", "The same request as a command for a POSIX shell; one click selects it all", blocks)
