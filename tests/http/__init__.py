"""HTTP tests against an echo process over real sockets."""
