"""Sections of the page about the client and the server.

They show the client, TLS, the pod, the trace, credentials and controls.
"""

import msgspec
from msgspec import UNSET

from app.echo.formats.html.components import Block, Remark, Row, Section, Text, flatten, pairs, present_rows, table
from app.echo.reflection.model import Reflection
from app.http.tls_info import TlsInfo


def client(reflection: Reflection) -> Section:
    """Return the section about the peer address and the addresses that proxies report."""
    client_info = reflection.client
    rows = present_rows(
        ("Address", client_info.address), ("Port", client_info.port), ("Effective address", client_info.effective)
    )
    blocks = pairs("Connection", rows, wire=False)
    if client_info.chain:
        hops: list[Row] = [(hop.address, hop.source, "yes" if hop.trusted else "no") for hop in client_info.chain]
        blocks += table("Forwarding chain, client first", ("Address", "Reported by", "Trusted"), hops, numbered=True)
    if client_info.forwarded:
        elements = [
            ("Forwarded", "; ".join(f"{name}={value}" for name, value in element.items()))
            for element in client_info.forwarded
        ]
        blocks += pairs("Forwarded elements", elements, numbered=True)
    if client_info.x_forwarded:
        blocks += pairs(
            "X-Forwarded", [(name, value) for name, values in client_info.x_forwarded.items() for value in values]
        )
    if client_info.proxy_protocol:
        blocks += pairs("PROXY protocol", flatten(client_info.proxy_protocol))
    return Section("client", "Client", "Peer address, and addresses reported by proxies", blocks)


def tls(reflection: Reflection) -> Section:
    """Return the section about the connection's TLS."""
    return Section("tls", "TLS", "TLS of this connection", _tls(reflection.tls or None))


def _tls(tls: TlsInfo | None) -> list[Block]:
    if tls is None:
        return []
    rows = present_rows(
        ("Version", tls.version),
        ("Cipher suite", tls.cipher_suite),
        ("Server name", tls.server_name),
        ("Protocol", tls.negotiated_protocol or None),
    )
    blocks = pairs("TLS", rows, wire=False)
    if tls.client_certificate:
        blocks += pairs("Client certificate", flatten(tls.client_certificate))
    if tls.peer_certificates:
        blocks.append(Text("Client certificates, PEM", "\n".join(pem.strip() for pem in tls.peer_certificates)))
    return blocks


def pod(reflection: Reflection) -> Section:
    """Return the section about the pod and the server, as far as known."""
    kubernetes = reflection.kubernetes
    rows = present_rows(
        ("Pod", reflection.pod),
        ("Namespace", reflection.namespace),
        ("Service", reflection.service),
        ("Ingress", reflection.ingress),
        ("Node", kubernetes.node),
        ("Zone", kubernetes.zone),
        ("Region", kubernetes.region),
        ("Pod IP", kubernetes.pod_ip),
        ("Host IP", kubernetes.host_ip),
        ("Service account", kubernetes.service_account),
        ("Image", kubernetes.image),
    )
    blocks: list[Block] = (
        [] if rows else [Remark("Not in Kubernetes, or without downward API variables: no pod, namespace or node.")]
    )
    server = present_rows(
        ("Address", reflection.server.address), ("Port", reflection.server.port), ("Version", reflection.version)
    )
    blocks += pairs("Pod", rows + server, wire=False)
    return Section(
        "pod", "Pod", "What responded, and where it runs", blocks + pairs("Labels", list(kubernetes.labels.items()))
    )


def trace(reflection: Reflection) -> Section:
    """Return the section about the request's trace."""
    blocks = pairs("Trace", flatten(reflection.trace)) if reflection.trace else []
    return Section("trace", "Trace", "Parsed traceparent header", blocks)


def credentials(reflection: Reflection) -> Section:
    """Return the section about credentials; each token is marked as verified or not."""
    sent_credentials = reflection.credentials or None
    blocks: list[Block] = []
    if sent_credentials is not None:
        blocks += pairs("Credentials", flatten(msgspec.structs.replace(sent_credentials, jwt=UNSET)))
        for number, token in enumerate(sent_credentials.jwt or (), 1):
            verdict = "verified" if token.verified else "not verified"
            blocks.append(
                Remark(f"{token.field} contains a token, {verdict}{_reason_suffix(token.not_verified or '')}.")
            )
            blocks += pairs(f"Token {number}, {verdict}: header", flatten(token.header))
            blocks += pairs(f"Token {number}, {verdict}: claims", flatten(token.claims))
    return Section("credentials", "Credentials", "Credentials sent by the client", blocks)


def _reason_suffix(reason: str) -> str:
    return f": {reason.removesuffix('.')}" if reason else ""


def applied(reflection: Reflection) -> Section:
    """Return the section about the controls, each applied or ignored."""
    report = reflection.applied
    rows: list[Row] = [
        (control.name, control.value, control.source, _applied_text(control.chosen)) for control in report.granted
    ]
    rows += [
        (control.name, control.value, control.source, _ignored_text(control.reason, control.bound))
        for control in report.refused
    ]
    hint = f"{len(report.granted)} applied, {len(report.refused)} ignored"
    return Section("applied", "Controls", hint, table("Controls", ("Control", "Value", "Source", "Outcome"), rows))


def _applied_text(chosen: object) -> str:
    if chosen is UNSET:
        return "Applied"
    return "Applied: " + (chosen if isinstance(chosen, str) else msgspec.json.encode(chosen).decode())


def _ignored_text(reason: str, limit: str) -> str:
    return f"Ignored: {reason}" + (f" ({limit})" if limit else "")
