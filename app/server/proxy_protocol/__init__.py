"""PROXY protocol without I/O: header before the first byte, and TLVs."""
