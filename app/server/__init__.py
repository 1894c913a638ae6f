"""HTTP server under gunicorn: sockets, processes, wire protocols."""
