"""gRPC: the calls that one port answers beside everything else. Without I/O; the carrier knows the streams."""
