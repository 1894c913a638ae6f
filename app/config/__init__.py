"""Configuration: settings and what follows from them."""
