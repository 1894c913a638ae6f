"""Emulations of other echo servers."""
