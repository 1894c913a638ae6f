"""Application of the controls to a response.

A response and control parameters become a status, headers, a body and effects.
"""

from collections.abc import Iterable
from http import HTTPStatus

from msgspec import structs

from app.echo.controls.params import NO_CONTROLS, ControlParams
from app.echo.controls.resolve import ResolvedControls
from app.http import compress
from app.http.request import NO_OPTIONS, ResponseOptions
from app.http.response import BODILESS_STATUSES, SECURITY_HEADERS, TEXT, RenderedResponse, Response
from app.http.streamed_body import PIECE_SIZE, StreamedBody, first_half, generate_body, piece_count, rechunk, split_body


class ControlledResponse(Response, frozen=True):
    """A response as it is sent. A `body` of bytes is complete; any other is streamed, and marked so in `options`."""

    options: ResponseOptions = NO_OPTIONS


def apply_controls(
    rendered_response: RenderedResponse,
    params: ControlParams,
    resolved_controls: ResolvedControls,
    *extra_headers: tuple[str, str],
) -> ControlledResponse:
    """Apply the controls to a response; `extra_headers` are headers that every response has."""
    if (
        params == NO_CONTROLS and isinstance(rendered_response.body, bytes) and not rendered_response.delay
    ):  # most requests
        return ControlledResponse(
            rendered_response.status,
            (("Content-Type", rendered_response.content_type), *rendered_response.headers, *extra_headers),
            rendered_response.body,
        )
    rendered_response = _replace_body(rendered_response, params)
    status = int(resolved_controls.status or (HTTPStatus.FOUND if params.redirect else rendered_response.status))
    headers = _response_headers(rendered_response, params)
    body, interval = b"" if status in BODILESS_STATUSES else rendered_response.body, rendered_response.interval
    if params.compress and body:
        body = _compress(body, params.compress, resolved_controls.coding, headers)
    if params.drip and body:
        body, interval = _drip(body, params)
    if params.abort == "middle":
        body = _truncate(body)
    options = ResponseOptions(
        delay=max(resolved_controls.delay, rendered_response.delay),
        is_streamed=isinstance(body, StreamedBody),
        interval=interval,
        is_endless=isinstance(body, StreamedBody) and body.is_endless,
        buffered_bytes=body.buffered_bytes if isinstance(body, StreamedBody) else 0,
        abort=params.abort,
    )
    if isinstance(body, bytes):
        return ControlledResponse(status, (*headers, *extra_headers), body, options)
    if body.length is not None:
        headers.append(("Content-Length", str(body.length)))
    return ControlledResponse(status, (*headers, *extra_headers), body.pieces, options)


def _replace_body(rendered_response: RenderedResponse, params: ControlParams) -> RenderedResponse:
    """Return the response with the body that a control sets; unchanged without such a control."""
    if params.body is not None:
        return structs.replace(
            rendered_response, body=params.body, content_type=TEXT, headers=SECURITY_HEADERS, interval=0.0
        )
    if params.size is not None:
        body = StreamedBody(params.size, generate_body(params.size))
        return structs.replace(rendered_response, body=body, content_type=TEXT, headers=SECURITY_HEADERS, interval=0.0)
    return rendered_response


def _response_headers(rendered_response: RenderedResponse, params: ControlParams) -> list[tuple[str, str]]:
    """Return the response headers; those set by controls replace others of the same name."""
    control_headers = (*params.header, *params.cookie)
    names = {name.lower() for name, _ in control_headers}
    headers = [("Content-Type", rendered_response.content_type)]
    headers += [(name, value) for name, value in rendered_response.headers if name.lower() not in names]
    if params.redirect:
        headers.append(("Location", params.redirect))
    return [*headers, *control_headers]


def _buffered_bytes(body: bytes | StreamedBody) -> int:
    """Return the number of bytes that stay in memory until the last piece of a body is sent."""
    return len(body) if isinstance(body, bytes) else body.buffered_bytes


def _split_into_pieces(body: bytes | StreamedBody, piece_size: int) -> Iterable[bytes]:
    return split_body(body, piece_size) if isinstance(body, bytes) else body.pieces


def _compress(
    body: bytes | StreamedBody, requested_coding: str, coding: str, headers: list[tuple[str, str]]
) -> bytes | StreamedBody:
    """Return a body compressed with a coding, unchanged without one; append the related headers to `headers`."""
    if requested_coding == compress.AUTO:
        headers.append(("Vary", "Accept-Encoding"))  # RFC 9110, 12.5.5
    if not coding:
        return body
    headers.append(("Content-Encoding", coding))
    pieces = compress.compress_pieces(_split_into_pieces(body, compress.MAX_PIECE_SIZE), coding)
    if isinstance(body, bytes) and len(body) <= compress.MAX_PIECE_SIZE:
        return b"".join(pieces)
    return StreamedBody(None, pieces, buffered_bytes=_buffered_bytes(body) + compress.COMPRESSOR_MEMORY[coding])


def _drip(body: bytes | StreamedBody, params: ControlParams) -> tuple[bytes | StreamedBody, float]:
    """Return a body in pieces and the seconds between two, so that the last is sent at the end of the drip time."""
    length = len(body) if isinstance(body, bytes) else body.length
    if not length:
        return body, 0.0
    piece_size = min(PIECE_SIZE, -(-length // piece_count(length, params.drip)))
    pieces = split_body(body, piece_size) if isinstance(body, bytes) else rechunk(body.pieces, piece_size)
    return StreamedBody(length, pieces, buffered_bytes=_buffered_bytes(body)), params.drip / max(
        1, -(-length // piece_size) - 1
    )


def _truncate(body: bytes | StreamedBody) -> StreamedBody:
    """Return the first half of a body, with the length of the whole."""
    if isinstance(body, bytes):
        return StreamedBody(len(body), first_half((body,), len(body)), buffered_bytes=len(body))
    return StreamedBody(body.length, first_half(body.pieces, body.length), buffered_bytes=body.buffered_bytes)
