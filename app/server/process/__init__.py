"""Processes of the server: arbiter, worker, signals, listening sockets."""
