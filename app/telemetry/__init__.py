"""Telemetry: metrics, access log and OpenTelemetry spans."""
