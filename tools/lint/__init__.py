"""The checks of `make lint`: run at once, and all that fail are told."""
