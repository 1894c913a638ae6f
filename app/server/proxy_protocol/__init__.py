"""The PROXY protocol, without I/O: the header in front of a connection's first byte, and its extensions."""
