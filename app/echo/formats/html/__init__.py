"""The HTML page for browsers: one document without scripts or other resources."""
