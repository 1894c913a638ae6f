"""Application of the controls to a response.

A response and control parameters become a status, headers, a body and effects.
"""

from collections.abc import Iterable
from http import HTTPStatus

from msgspec import structs

from app.echo.controls.params import NONE, Wishes
from app.echo.controls.resolve import Choice
from app.http import compress
from app.http.request import NO_EFFECTS, Effects
from app.http.response import BODILESS, HARMLESS, TEXT, Answer, Sent
from app.http.streamed_body import PIECE, Content, first_half, generated, in_pieces, pieces_for, repieced


class Outcome(Sent, frozen=True):
    """A response as it is sent. A `body` of bytes is complete; any other is `streamed`, and marked so in `effects`."""

    effects: Effects = NO_EFFECTS


def done(answer: Answer, wishes: Wishes, choice: Choice, *more: tuple[str, str]) -> Outcome:
    """Apply the controls to a response; `more` are headers that every response has."""
    if wishes is NONE and isinstance(answer.body, bytes) and not answer.delay:  # most requests
        return Outcome(answer.status, (("Content-Type", answer.content_type), *answer.fields, *more), answer.body)
    answer = _replaced(answer, wishes)
    status = int(choice.status or (HTTPStatus.FOUND if wishes.redirect else answer.status))
    fields = _fields(answer, wishes)
    content, interval = b"" if status in BODILESS else answer.body, answer.interval
    if wishes.compress and content:
        content = _compressed(content, wishes.compress, choice.coding, fields)
    if wishes.drip and content:
        content, interval = _dripped(content, wishes)
    if wishes.abort == "middle":
        content = _cut(content)
    effects = Effects(
        delay=max(choice.delay, answer.delay),
        streamed=isinstance(content, Content),
        interval=interval,
        endless=isinstance(content, Content) and content.endless,
        held=content.held if isinstance(content, Content) else 0,
        abort=wishes.abort,
    )
    if isinstance(content, bytes):
        return Outcome(status, (*fields, *more), content, effects)
    if content.length is not None:
        fields.append(("Content-Length", str(content.length)))
    return Outcome(status, (*fields, *more), content.pieces, effects)


def _replaced(answer: Answer, wishes: Wishes) -> Answer:
    """Return the response with the body that a control sets; unchanged without such a control."""
    if wishes.body is not None:
        return structs.replace(answer, body=wishes.body, content_type=TEXT, fields=HARMLESS, interval=0.0)
    if wishes.size is not None:
        content = Content(wishes.size, generated(wishes.size))
        return structs.replace(answer, body=content, content_type=TEXT, fields=HARMLESS, interval=0.0)
    return answer


def _fields(answer: Answer, wishes: Wishes) -> list[tuple[str, str]]:
    """Return the response headers; those set by controls replace others of the same name."""
    asked = (*wishes.header, *wishes.cookie)
    names = {name.lower() for name, _ in asked}
    fields = [("Content-Type", answer.content_type)]
    fields += [(name, value) for name, value in answer.fields if name.lower() not in names]
    if wishes.redirect:
        fields.append(("Location", wishes.redirect))
    return [*fields, *asked]


def _held(content: bytes | Content) -> int:
    """Return the number of bytes that stay in memory until the last piece of a body is sent."""
    return len(content) if isinstance(content, bytes) else content.held


def _pieces(content: bytes | Content, piece: int) -> Iterable[bytes]:
    return in_pieces(content, piece) if isinstance(content, bytes) else content.pieces


def _compressed(content: bytes | Content, wish: str, coding: str, fields: list[tuple[str, str]]) -> bytes | Content:
    """Return a body compressed with a coding, unchanged without one; append the related headers to `fields`."""
    if wish == compress.AUTO:
        fields.append(("Vary", "Accept-Encoding"))  # RFC 9110, 12.5.5
    if not coding:
        return content
    fields.append(("Content-Encoding", coding))
    pieces = compress.compressed(_pieces(content, compress.PIECE), coding)
    if isinstance(content, bytes) and len(content) <= compress.PIECE:
        return b"".join(pieces)
    return Content(None, pieces, held=_held(content) + compress.MEMORY[coding])


def _dripped(content: bytes | Content, wishes: Wishes) -> tuple[bytes | Content, float]:
    """Return a body in pieces and the seconds between two, so that the last is sent at the end of the drip time."""
    length = len(content) if isinstance(content, bytes) else content.length
    if not length:
        return content, 0.0
    piece = min(PIECE, -(-length // pieces_for(length, wishes.drip)))
    pieces = in_pieces(content, piece) if isinstance(content, bytes) else repieced(content.pieces, piece)
    return Content(length, pieces, held=_held(content)), wishes.drip / max(1, -(-length // piece) - 1)


def _cut(content: bytes | Content) -> Content:
    """Return the first half of a body, with the length of the whole."""
    if isinstance(content, bytes):
        return Content(len(content), first_half((content,), len(content)), held=len(content))
    return Content(content.length, first_half(content.pieces, content.length), held=content.held)
