"""The HTML page: one document without scripts or external resources."""
