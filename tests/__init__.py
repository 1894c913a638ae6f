"""Tests, cheapest first: unit, http, chart, image, e2e."""
