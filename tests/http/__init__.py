"""The echo as a process, asked over real sockets."""
