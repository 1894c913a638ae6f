"""HTTP/2 requests as another implementation reads them: h2."""

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import msgspec

from app.http.request import HeaderList


class Asked(msgspec.Struct):
    """The request on one stream."""

    fields: HeaderList
    body: bytes = b""
    trailers: HeaderList = ()
    ended: bool = False


def asked_of_h2(wire: bytes) -> dict[int, Asked]:
    """Return the requests that h2 reads, until it rejects something."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
    connection.initiate_connection()
    found: dict[int, Asked] = {}
    try:
        for place in range(0, len(wire), 64):
            for event in connection.receive_data(wire[place : place + 64]):
                _note(event, found)
    except h2.exceptions.ProtocolError:
        pass
    return found


def _note(event: h2.events.Event, found: dict[int, Asked]) -> None:
    match event:
        case h2.events.RequestReceived():
            found[event.stream_id] = Asked(_fields(event.headers))
        case h2.events.TrailersReceived():
            found[event.stream_id].trailers = _fields(event.headers)
        case h2.events.DataReceived():
            found[event.stream_id].body += event.data
        case h2.events.StreamEnded():
            found[event.stream_id].ended = True
        case _:
            pass


def _fields(headers: object) -> HeaderList:
    return tuple((bytes(name), bytes(value)) for name, value in headers)  # type: ignore[attr-defined]
