"""HTTP/1.1: grammar, chunked decoder, request parser, protocol handler."""
