"""Generators for the chart: its README, schema, dashboard and archive."""
