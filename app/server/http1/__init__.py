"""HTTP/1.1: its grammar and chunks, a reader of requests without I/O, and the session that answers them."""
