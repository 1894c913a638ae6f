"""A client that asks a Service all along, by each protocol, and follows every request to its end.

It runs in a pod of the echo's own image, and has no more than is there: `python3 -m tests.e2e.load HOST COUNT`.
"""
