"""HTTP messages: values and pure parsers, without I/O and settings."""
