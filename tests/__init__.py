"""The tests, cheapest first: unit, http, chart, image, e2e."""
