"""Client of a Service for HTTP/2, gRPC, WebSocket and TLS.

It runs in a pod of the echo's own image, and prints the responses.

usage: protocols_client.py HOST CA-PEM
"""

import http.client
import json
import socket
import ssl
import sys
import time
from collections.abc import Iterator

import hpack
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.uri import parse_uri

from app.grpc import framing, services
from app.grpc.messages import message_class
from app.server.http2 import frames

TIMEOUT = 20  # seconds
JSON = "application/json"


def http2(sock: socket.socket, host: str, scheme: str) -> dict[str, object]:
    """Send one HTTP/2 request with prior knowledge; return the reflection."""
    pseudo = [(":method", "GET"), (":path", "/h2"), (":scheme", scheme), (":authority", host)]
    block = hpack.Encoder().encode([*pseudo, ("accept", JSON)])
    head = frames.encode(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, block)
    sock.sendall(frames.PREFACE + frames.encode_settings({}) + head)
    body = b""
    for frame in received(sock):
        if frame.type == frames.DATA:
            body += frame.payload
        if frame.stream_id == 1 and frame.flags & frames.END_STREAM:
            break
    reflection: dict[str, object] = json.loads(body)
    return reflection


def grpc(sock: socket.socket, host: str, scheme: str) -> dict[str, object]:
    """Send one gRPC call; return selected values of the response, and its status code."""
    path, media_type = f"/{services.ECHO_SERVICE}/Echo", ("content-type", "application/grpc")
    pseudo = [(":method", "POST"), (":path", path), (":scheme", scheme), (":authority", host)]
    block = hpack.Encoder().encode([*pseudo, media_type, ("te", "trailers")])
    head = frames.encode(frames.HEADERS, frames.END_HEADERS, 1, block)
    data = frames.encode(frames.DATA, frames.END_STREAM, 1, framing.encode_message(b""))
    sock.sendall(frames.PREFACE + frames.encode_settings({}) + head + data)
    decoder, body = hpack.Decoder(), b""
    fields: dict[str, str] = {}
    for frame in received(sock):
        if frame.type == frames.DATA:
            body += frame.payload
        if frame.type == frames.HEADERS:
            fields |= {str(name): str(value) for name, value in decoder.decode(frame.payload)}
        if frame.stream_id == 1 and frame.flags & frames.END_STREAM:
            break
    kind = message_class("gateway_api_conformance.echo_basic.grpcecho.EchoResponse")
    told = kind.FromString(body[framing.PREFIX_SIZE :]).assertions
    return {
        "code": fields["grpc-status"],
        "method": told.fully_qualified_method,
        "authority": told.authority,
        "pod": told.context.pod,
        "protocol": told.tls_assertions.negotiated_protocol,
    }


def received(sock: socket.socket) -> Iterator[frames.Frame]:
    """Yield the received frames."""
    reader = frames.FrameReader()
    while data := sock.recv(65_536):
        reader.feed_bytes(data)
        while frame := reader.next_frame():
            yield frame


def web_socket(host: str, context: ssl.SSLContext | None) -> list[object]:
    """Open a WebSocket; return its first message, the reflection, and whether each message was echoed unchanged."""
    protocol = ClientProtocol(parse_uri(f"ws://{host}/socket"))
    with socket.create_connection((host, 443 if context else 80), TIMEOUT) as plain:
        sock = context.wrap_socket(plain, server_hostname=host) if context else plain
        protocol.send_request(protocol.connect())
        greeting, *_ = messages(sock, protocol)
        told: list[object] = [json.loads(greeting)]
        for message in (b"hello", "w\u00f6rld".encode() * 1000):
            protocol.send_text(message)
            told.append(next(messages(sock, protocol)) == message)
    return told


def messages(sock: socket.socket, protocol: ClientProtocol) -> Iterator[bytes]:
    """Send pending data; yield the received messages, at least one."""
    sock.sendall(b"".join(protocol.data_to_send()))
    came: list[bytes] = []
    while not came:
        data = sock.recv(65_536)
        if not data:
            raise ConnectionError("the WebSocket was closed, or never opened")
        protocol.receive_data(data)
        came = [bytes(each.data) for each in protocol.events_received() if isinstance(each, Frame)]
    yield from came


def https(host: str, context: ssl.SSLContext) -> dict[str, object]:
    """Send one HTTP/1.1 request over TLS; return the reflection."""
    client = http.client.HTTPSConnection(host, context=context, timeout=TIMEOUT)
    client.request("GET", "/tls", headers={"Accept": JSON})
    reflection: dict[str, object] = json.loads(client.getresponse().read())
    client.close()
    return reflection


def wait_until_reached(host: str, port: int) -> None:
    """Wait until a connection is accepted: the node's proxy may learn of the pods later than the API server reports."""
    give_up = time.monotonic() + TIMEOUT
    while True:
        try:
            socket.create_connection((host, port), TIMEOUT).close()
        except ConnectionRefusedError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)
        else:
            return


def main(host: str, authority: str) -> dict[str, object]:
    """Use all protocols; return the responses."""
    context = ssl.create_default_context(cadata=authority)
    over_alpn = ssl.create_default_context(cadata=authority)
    over_alpn.set_alpn_protocols(["h2"])
    for port in (80, 443):
        wait_until_reached(host, port)
    with socket.create_connection((host, 80), TIMEOUT) as sock:
        h2c = http2(sock, host, "http")
    with socket.create_connection((host, 80), TIMEOUT) as sock:
        called = grpc(sock, host, "http")
    over_tls = []
    for speak in (http2, grpc):
        with (
            socket.create_connection((host, 443), TIMEOUT) as plain,
            over_alpn.wrap_socket(plain, server_hostname=host) as sock,
        ):
            over_tls.append(speak(sock, host, "https"))
    h2, called_over_tls = over_tls
    return {
        "grpc": called,
        "grpcs": called_over_tls,
        "h2c": h2c,
        "h2": h2,
        "ws": web_socket(host, None),
        "wss": web_socket(host, context),
        "https": https(host, context),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))  # noqa: T201 - what it is for
