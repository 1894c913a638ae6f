"""The echo application: the response to a request."""
