"""How a request is answered: which of the answers it asks for, and each answer's bytes."""

from html import escape

import msgspec

from app.reflection import Reflection
from app.wire import WireRequest, decoded_path

JSON = "application/json"
HTML = "text/html; charset=utf-8"


def wants_json(accept: str) -> bool:
    """Tell whether an Accept field names `application/json`, and not with weight 0 (RFC 9110, 12.5.1)."""
    for element in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in element.split(";"))
        if media_type == JSON:
            return not any(_is_zero_weight(parameter) for parameter in parameters)
    return False


def _is_zero_weight(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name == "q" and value.strip("0.") == ""


def bare(request: WireRequest) -> bytes:
    """Give the bare answer: the decoded path in bold, harmless in HTML, bytes that are not UTF-8 as U+FFFD."""
    return f"<b>Got: {escape(decoded_path(request.target).decode('utf-8', 'replace'))}</b>!".encode()


def pretty_json(reflection: Reflection) -> bytes:
    """Give the reflection as JSON for people, indented by two spaces."""
    return msgspec.json.format(msgspec.json.encode(reflection), indent=2) + b"\n"
