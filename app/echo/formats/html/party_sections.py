"""Sections of the page about the client and the server.

They show the client, TLS, the pod, the trace, credentials and controls.
"""

import msgspec
from msgspec import UNSET

from app.echo.formats.html.components import Block, Remark, Row, Section, Text, named, pairs, table, told
from app.echo.reflection.model import Reflection
from app.http.tls_info import TLS


def client(reflected: Reflection) -> Section:
    """Return the section about the peer address and the addresses that proxies report."""
    who = reflected.client
    rows = told(("Address", who.address), ("Port", who.port), ("Effective address", who.effective))
    blocks = pairs("Connection", rows, wire=False)
    if who.chain:
        hops: list[Row] = [(hop.address, hop.told, "yes" if hop.trusted else "no") for hop in who.chain]
        blocks += table("Forwarding chain, client first", ("Address", "Reported by", "Trusted"), hops, numbered=True)
    if who.forwarded:
        elements = [
            ("Forwarded", "; ".join(f"{name}={value}" for name, value in each.items())) for each in who.forwarded
        ]
        blocks += pairs("Forwarded elements", elements, numbered=True)
    if who.x_forwarded:
        blocks += pairs("X-Forwarded", [(name, value) for name, all_ in who.x_forwarded.items() for value in all_])
    if who.proxy_protocol:
        blocks += pairs("PROXY protocol", named(who.proxy_protocol))
    return Section("client", "Client", "Peer address, and addresses reported by proxies", blocks)


def tls(reflected: Reflection) -> Section:
    """Return the section about the connection's TLS."""
    return Section("tls", "TLS", "TLS of this connection", _tls(reflected.tls or None))


def _tls(tls: TLS | None) -> list[Block]:
    if tls is None:
        return []
    rows = told(
        ("Version", tls.version),
        ("Cipher suite", tls.cipher_suite),
        ("Server name", tls.server_name),
        ("Protocol", tls.negotiated_protocol or None),
    )
    blocks = pairs("TLS", rows, wire=False)
    if tls.client_certificate:
        blocks += pairs("Client certificate", named(tls.client_certificate))
    if tls.peer_certificates:
        blocks.append(Text("Client certificates, PEM", "\n".join(pem.strip() for pem in tls.peer_certificates)))
    return blocks


def pod(reflected: Reflection) -> Section:
    """Return the section about the pod and the server, as far as known."""
    where = reflected.kubernetes
    rows = told(
        ("Pod", reflected.pod),
        ("Namespace", reflected.namespace),
        ("Service", reflected.service),
        ("Ingress", reflected.ingress),
        ("Node", where.node),
        ("Zone", where.zone),
        ("Region", where.region),
        ("Pod IP", where.pod_ip),
        ("Host IP", where.host_ip),
        ("Service account", where.service_account),
        ("Image", where.image),
    )
    blocks: list[Block] = (
        [] if rows else [Remark("Not in Kubernetes, or without downward API variables: no pod, namespace or node.")]
    )
    server = told(
        ("Address", reflected.server.address), ("Port", reflected.server.port), ("Version", reflected.version)
    )
    blocks += pairs("Pod", rows + server, wire=False)
    return Section(
        "pod", "Pod", "What responded, and where it runs", blocks + pairs("Labels", list(where.labels.items()))
    )


def trace(reflected: Reflection) -> Section:
    """Return the section about the request's trace."""
    blocks = pairs("Trace", named(reflected.trace)) if reflected.trace else []
    return Section("trace", "Trace", "Parsed traceparent header", blocks)


def credentials(reflected: Reflection) -> Section:
    """Return the section about credentials; each token is marked as verified or not."""
    found = reflected.credentials or None
    blocks: list[Block] = []
    if found is not None:
        blocks += pairs("Credentials", named(msgspec.structs.replace(found, jwt=UNSET)))
        for number, token in enumerate(found.jwt or (), 1):
            verdict = "verified" if token.verified else "not verified"
            blocks.append(Remark(f"{token.field} contains a token, {verdict}{_why(token.not_verified or '')}."))
            blocks += pairs(f"Token {number}, {verdict}: header", named(token.header))
            blocks += pairs(f"Token {number}, {verdict}: claims", named(token.claims))
    return Section("credentials", "Credentials", "Credentials sent by the client", blocks)


def _why(reason: str) -> str:
    return f": {reason.removesuffix('.')}" if reason else ""


def applied(reflected: Reflection) -> Section:
    """Return the section about the controls, each applied or ignored."""
    asked = reflected.applied
    rows: list[Row] = [(each.name, each.value, each.source, _done(each.done)) for each in asked.granted]
    rows += [(each.name, each.value, each.source, _refused(each.reason, each.bound)) for each in asked.refused]
    hint = f"{len(asked.granted)} applied, {len(asked.refused)} ignored"
    return Section("applied", "Controls", hint, table("Controls", ("Control", "Value", "Source", "Outcome"), rows))


def _done(done: object) -> str:
    if done is UNSET:
        return "Applied"
    return "Applied: " + (done if isinstance(done, str) else msgspec.json.encode(done).decode())


def _refused(reason: str, bound: str) -> str:
    return f"Ignored: {reason}" + (f" ({bound})" if bound else "")
