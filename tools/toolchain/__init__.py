"""The programs that the tests drive: helm, kind, kubectl."""
