"""What the carrier refuses, and how it says so."""

from http import HTTPStatus


class ProtocolError(Exception):
    """A request that can't be answered as asked: a status and one line that says what was wrong.

    The connection is closed after it: where one request was not understood, the next one's beginning is not
    known (RFC 9112, 9.6).
    """

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def bad_request(reason: str) -> ProtocolError:
    """Give a 400 with its reason."""
    return ProtocolError(HTTPStatus.BAD_REQUEST, reason)
