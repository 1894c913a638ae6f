"""Unit tests: no sockets, no processes, no waiting."""
