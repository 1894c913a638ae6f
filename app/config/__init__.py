"""Configuration: settings and the values derived from them."""
