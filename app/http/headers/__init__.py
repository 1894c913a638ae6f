"""Parsers of single HTTP headers."""
