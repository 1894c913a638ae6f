"""Where spans are sent: to ECHO_OTLP_ENDPOINT, by OTLP over HTTP. https://opentelemetry.io/docs/specs/otlp/.

OpenTelemetry's SDK is imported only where an endpoint is set: nobody else pays for it. Its own variables (`OTEL_*`)
hold for what ours do not name: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from threading import Thread
from types import ModuleType
from typing import Any, Final

from app import __version__
from app.config import otlp_endpoint
from app.config.downward_api import Identity

INSTALL: Final = (
    "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http,"
    " or an image built with --build-arg requirements=requirements/otlp.txt"
)
_PATH: Final = "/v1/traces"  # behind the endpoint, as the specification has it


def endpoint(text: str) -> str:
    """Read an endpoint: a URL of http or https.

    Raises `ValueError`, with a sentence, for what is none, and where the library is not installed.
    """
    _library()
    return otlp_endpoint.endpoint(text)


def _library() -> ModuleType:
    try:
        import opentelemetry.exporter.otlp.proto.http as library  # noqa: PLC0415 - only where an endpoint is set
    except ImportError:
        raise ValueError(f"spans can't be sent: OpenTelemetry's SDK is not installed ({INSTALL})") from None
    return library


class Sender:
    """Sends spans in batches, by a thread of the SDK; what is more than it gets rid of, it drops."""

    def __init__(self, where: str, identity: Identity) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

        resource = Resource.create(_attributes(identity)).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=where.rstrip("/") + _PATH)))
        self.tracer: Any = self._provider.get_tracer("echo", __version__)

    def close(self, seconds: float) -> None:
        """Send what waits, for so many seconds at most: an endpoint that is gone keeps no worker from its end."""
        closing = Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(seconds)


def _attributes(identity: Identity) -> dict[str, str]:
    """Give what is told of the service. https://opentelemetry.io/docs/specs/semconv/resource/."""
    told = {
        "service.name": "echo",
        "service.version": __version__,
        "service.namespace": identity.namespace,
        "service.instance.id": identity.pod,
        "k8s.namespace.name": identity.namespace,
        "k8s.pod.name": identity.pod,
        "k8s.node.name": identity.kubernetes.node,
    }
    return {name: value for name, value in told.items() if value}
