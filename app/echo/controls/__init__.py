"""Controls of the response, set by the client.

They are `echo_*` parameters in the query or `X-Echo-*` headers.
"""
