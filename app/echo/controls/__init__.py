"""Controls: what a client may ask of the answer, by `echo_*` in the query or by `X-Echo-*` fields."""
