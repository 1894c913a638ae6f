"""What the echo tells of itself: metrics for Prometheus, a log of requests, spans for OpenTelemetry."""
