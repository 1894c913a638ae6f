"""Decisions, each alone: no sockets, no processes, no waiting."""
