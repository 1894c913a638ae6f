"""Response formats."""
