"""Load client that sends requests to a Service over each protocol.

It follows every request to its end. It runs in a pod of the echo's own image, and uses only what the image has:
`python3 -m tests.e2e.load HOST COUNT`.
"""
