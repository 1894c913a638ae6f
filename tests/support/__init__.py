"""Helpers of tests, imported by more than one test module."""
