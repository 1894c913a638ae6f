"""The reflection: the JSON model of a request."""
