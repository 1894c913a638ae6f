"""OTLP/HTTP sender of spans, to ECHO_OTLP_ENDPOINT.

https://opentelemetry.io/docs/specs/otlp/. OpenTelemetry's SDK is imported only if an endpoint is set, so that it costs
nothing otherwise. Its own variables (`OTEL_*`) apply to everything that our settings do not cover:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from threading import Thread
from types import ModuleType
from typing import Any, Final

from app import __version__
from app.config import otlp_endpoint
from app.config.downward_api import PodInfo

INSTALL_HINT: Final = (
    "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http,"
    " or an image built with --build-arg requirements=requirements/otlp.txt"
)
_PATH: Final = "/v1/traces"  # path after the endpoint, as specified


def check_endpoint(text: str) -> str:
    """Check an http or https URL and return it.

    Raise `ValueError` with a sentence if it is invalid, or if the library is not installed.
    """
    _library()
    return otlp_endpoint.validate_endpoint(text)


def _library() -> ModuleType:
    try:
        import opentelemetry.exporter.otlp.proto.http as library  # noqa: PLC0415 - only where an endpoint is set
    except ImportError:
        raise ValueError(f"spans can't be sent: OpenTelemetry's SDK is not installed ({INSTALL_HINT})") from None
    return library


class SpanExporter:
    """Sender of spans in batches, by a thread of the SDK, which drops spans above its queue's limit."""

    def __init__(self, endpoint: str, pod_info: PodInfo) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

        resource = Resource.create(_attributes(pod_info)).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH)))
        self.tracer: Any = self._provider.get_tracer("echo", __version__)

    def close(self, seconds: float) -> None:
        """Send the queued spans, for at most `seconds`: an unreachable endpoint must not keep a worker from exiting."""
        shutdown_thread = Thread(target=self._provider.shutdown, daemon=True)
        shutdown_thread.start()
        shutdown_thread.join(seconds)


def _attributes(pod_info: PodInfo) -> dict[str, str]:
    """Return the resource attributes of the service. https://opentelemetry.io/docs/specs/semconv/resource/."""
    attributes = {
        "service.name": "echo",
        "service.version": __version__,
        "service.namespace": pod_info.namespace,
        "service.instance.id": pod_info.pod,
        "k8s.namespace.name": pod_info.namespace,
        "k8s.pod.name": pod_info.pod,
        "k8s.node.name": pod_info.kubernetes.node,
    }
    return {name: value for name, value in attributes.items() if value}
