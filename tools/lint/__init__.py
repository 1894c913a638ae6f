"""Checks of `make lint`, run in parallel; all failures are reported."""
