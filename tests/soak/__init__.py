"""Tests that take minutes: faults, attacks on memory, leaks.

`make soak` runs them.
"""
