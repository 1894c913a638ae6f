"""End-to-end tests of the chart in a real cluster."""
