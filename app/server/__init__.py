"""The HTTP server: sockets, processes, wire protocols, under gunicorn."""
